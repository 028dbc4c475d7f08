"""`zoo.load`: a network by its name, run by torch or by something faster.

torch is imported only where it runs the network.
"""

from __future__ import annotations

from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Literal, get_args, overload

from mfsynth.errors import MissingExtraError, OptionsError
from zoo.backends.session import EXTRAS, FASTEST, Backend, Runtime, installed
from zoo.store.find import find

if TYPE_CHECKING:
    import os

    import torch

    from zoo.backends.graph_model import GraphModel
    from zoo.pretrained import FusionModel
    from zoo.store.find import Origin


@overload
def load(
    name: str | os.PathLike[str],
    *,
    revision: str | None = ...,
    device: str = ...,
    dtype: torch.dtype | None = ...,
    origin: Origin = ...,
    backend: Literal["torch"] = ...,
) -> FusionModel: ...


@overload
def load(
    name: str | os.PathLike[str],
    *,
    revision: str | None = ...,
    device: str = ...,
    dtype: None = ...,
    origin: Origin = ...,
    backend: Runtime,
) -> GraphModel: ...


@overload
def load(
    name: str | os.PathLike[str],
    *,
    revision: str | None = ...,
    device: str = ...,
    dtype: torch.dtype | None = ...,
    origin: Origin = ...,
    backend: Backend,
) -> FusionModel | GraphModel: ...


def load(
    name: str | os.PathLike[str],
    *,
    revision: str | None = None,
    device: str = "auto",
    dtype: torch.dtype | None = None,
    origin: Origin = "auto",
    backend: Backend = "torch",
) -> FusionModel | GraphModel:
    """Load a network. A short name needs no connection.

    Args:
        name: A short name (`focus-set`; see `zoo.names`), a Hub repository (`org/name`, `org/name@revision`),
            or a folder that `mfsynth train` made.
        revision: Branch, tag or commit on the Hub; None means the commit in the registry, or `main`.
        device: `cpu`, `cuda`, `cuda:1`, `mps`, or `auto`: an accelerator if there is one. Other backends than
            torch run on the CPU.
        dtype: The floating-point type that the network computes in; None means float32. Only torch has
            others.
        origin: Of a short name's files: `shipped` with the package, `hub`, or `auto`: shipped if they are
            there and intact, otherwise from the Hub.
        backend: What computes. `torch` gives a `zoo.FusionModel`, in eval mode and channels last.
            `onnxruntime` and `openvino` fuse alike and import no torch; they have as many threads as OpenCV
            (`cv2.setNumThreads`).

    Raises:
        UnknownModelError: If no network has this name.
        NotPublishedError: If the network is not on the Hub yet.
        MissingFileError, DamagedError, NewerConfigError: If a file is missing, damaged or too new.
        HubError: As one of its subclasses: no connection, no permission, no such repository or revision.
        DeviceError: If the device does not exist.
        OptionsError: If the backend does not exist, or cannot do what is asked.
        MissingExtraError: If the backend is not installed.
    """
    if backend not in get_args(Backend):
        raise OptionsError(f"backend is {backend!r}", f"it can be {', '.join(get_args(Backend))}")
    if not installed(backend):
        raise MissingExtraError(backend, "fuse" if backend == "torch" else EXTRAS[backend])
    locate = partial(find, name, revision=revision, origin=origin)
    if backend == "torch":
        from zoo.pretrained import load_network

        return load_network(locate, device, dtype)
    if device not in ("auto", "cpu") or dtype is not None:
        raise OptionsError(
            f"{backend} runs on the CPU, in float32",
            "omit device and dtype (--device, --precision), or use torch (--backend torch)",
        )
    from zoo.backends.graph_model import load_graph

    found = locate()
    return load_graph(found.folder, found.hashes, backend)


FEW = 12
"""The most frames for which other backends are faster: they see a tile's margins of all frames at once."""


def fastest(device: str = "auto", precision: str = "fp32", frames: int = 2) -> Backend:
    """The fastest backend that can do this, and is installed unless only torch can.

    Args:
        device: As for `load`; torch is taken for any but the CPU.
        precision: `fp32`, `bf16` or `fp16`; torch is taken for any but the first.
        frames: How many; torch is taken for more than `FEW`, if it is installed.

    Raises:
        MissingExtraError: If none is installed.
    """
    if device not in ("auto", "cpu") or precision != "fp32" or (device == "auto" and _accelerated()):
        return "torch"
    if frames > FEW and installed("torch"):
        return "torch"
    for backend in FASTEST:
        if installed(backend):
            return backend
    raise MissingExtraError("torch", "fuse")


def _accelerated() -> bool:
    """Whether torch has an accelerator here; to import it takes seconds, so builds for the CPU are told."""
    if not installed("torch") or version("torch").endswith("+cpu"):
        return False
    import torch

    return torch.accelerator.is_available()
