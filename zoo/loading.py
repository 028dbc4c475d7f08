"""`zoo.load`: a network by its name, run by torch or by something faster.

torch is imported only where it runs the network.
"""

from __future__ import annotations

from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Literal, get_args, overload

from mfsynth.errors import MissingExtraError, OptionsError
from zoo.backends.session import EXTRAS, FASTEST, Backend, Runtime, check_installed, installed
from zoo.stacks.choice import NetworkChoice
from zoo.store.find import find

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    import torch

    from zoo.backends.graph_model import GraphModel
    from zoo.networks import Config
    from zoo.pretrained import FusionModel
    from zoo.store.find import Origin


@overload
def load(
    name: str | os.PathLike[str],
    *,
    revision: str | None = ...,
    device: str = ...,
    dtype: torch.dtype | str | None = ...,
    origin: Origin = ...,
    backend: Literal["torch"] = ...,
) -> FusionModel: ...


@overload
def load(
    name: str | os.PathLike[str],
    *,
    revision: str | None = ...,
    device: str = ...,
    dtype: str | None = ...,
    origin: Origin = ...,
    backend: Runtime,
) -> GraphModel: ...


@overload
def load(
    name: str | os.PathLike[str],
    *,
    revision: str | None = ...,
    device: str = ...,
    dtype: torch.dtype | str | None = ...,
    origin: Origin = ...,
    backend: Backend,
) -> FusionModel | GraphModel: ...


def load(
    name: str | os.PathLike[str],
    *,
    revision: str | None = None,
    device: str = "auto",
    dtype: torch.dtype | str | None = None,
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
        dtype: What the network computes in: a floating-point type of torch, or `fp32`, `bf16` or `fp16`.
            None means float32. onnxruntime has no other; OpenVINO has `bf16`, where the CPU does.
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
    check_installed(backend)
    locate = partial(find, name, revision=revision, origin=origin)
    if backend == "torch":
        from zoo.pretrained import load_network

        return load_network(locate, device, dtype_of(dtype) if isinstance(dtype, str) else dtype)
    if device not in ("auto", "cpu"):
        raise OptionsError(
            f"{backend} runs on the CPU", "omit device (--device), or use torch (--backend torch)"
        )
    if not isinstance(dtype, str | None):
        raise OptionsError(f"{backend} has no {dtype}", "give a name, such as fp32")
    from zoo.backends.graph_model import load_graph

    found = locate()
    return load_graph(found.folder, found.hashes, backend, dtype or "fp32")


FEW = 12
"""The most frames for which other backends are faster: they see a tile's margins of all frames at once."""


def fastest(device: str = "auto", precision: str = "fp32", frames: int = 2) -> Backend:
    """The fastest backend that can do this, and is installed unless only torch can.

    Args:
        device: As for `load`; torch is taken for any but the CPU.
        precision: `fp32`, `bf16` or `fp16`; torch is taken for any but the first.
        frames: How many are seen in one pass; torch is taken for more than `FEW`, if it is installed.

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
    raise MissingExtraError("torch", EXTRAS["torch"])


class BackendChoice(NetworkChoice):
    """A network, computed by what the user asks for, or for each stack by the fastest backend.

    Args:
        name: As for `load`.
        backend: As for `load`; `auto` is `fastest`, which depends on the number of frames.
        device: As for `load`.
        precision: `fp32`, `bf16` or `fp16`.
        say: Called with a line when a backend is taken for the first time.

    Raises:
        OptionsError, MissingExtraError, ZooError, HubError: As for `load`.
    """

    def __init__(
        self,
        name: str | os.PathLike[str],
        backend: Backend | Literal["auto"] = "auto",
        *,
        device: str = "auto",
        precision: str = "fp32",
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._name, self._asked, self._device, self._precision = name, backend, device, precision
        self._say = say
        self._loaded: dict[Backend, FusionModel | GraphModel] = {}
        self._told: set[Backend] = set()
        self._config = self._by(self._backend(2)).config

    @property
    def config(self) -> Config:
        """The network's."""
        return self._config

    def suited(self, frames: int) -> FusionModel | GraphModel:
        """See `NetworkChoice`."""
        backend = self._backend(frames if self._config.sets else 2)  # only such a network sees all at once
        model = self._by(backend)
        if backend not in self._told:
            self._told.add(backend)
            many = self._asked == "auto" and self._told != {backend}
            self._say(f"computed by {backend}{f', as it has {frames} frames' if many else ''}")
        return model

    def _backend(self, frames: int) -> Backend:
        return fastest(self._device, self._precision, frames) if self._asked == "auto" else self._asked

    def _by(self, backend: Backend) -> FusionModel | GraphModel:
        """The network by a backend; each is loaded once."""
        if backend not in self._loaded:
            self._loaded[backend] = load(
                self._name, device=self._device, dtype=self._precision, backend=backend
            )
        return self._loaded[backend]


def dtype_of(precision: str) -> torch.dtype:
    """torch's floating-point type of a precision.

    Raises:
        OptionsError: If there is no such precision.
    """
    from zoo.networks.network import PRECISIONS

    if precision not in PRECISIONS:
        raise OptionsError(f"dtype is {precision!r}", f"it can be {', '.join(PRECISIONS)}")
    return PRECISIONS[precision]


def _accelerated() -> bool:
    """Whether torch has an accelerator here; to import it takes seconds, so builds for the CPU are told."""
    if not installed("torch") or version("torch").endswith("+cpu"):
        return False
    import torch

    return torch.accelerator.is_available()
