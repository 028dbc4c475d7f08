"""`zoo.load`, and what it gives: a network that fuses pictures and speaks with the Hugging Face Hub."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from huggingface_hub import PyTorchModelHubMixin

from mfsynth.errors import OptionsError
from zoo.errors import ConfigError, DeviceError
from zoo.fusing.fusion import fuse
from zoo.fusing.pictures import read_picture
from zoo.networks import Network
from zoo.publishing.cards import model_card
from zoo.publishing.push import push
from zoo.store.find import find
from zoo.store.folder import load_folder, save_folder
from zoo.store.pull import pull

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from huggingface_hub import ModelCard

    from zoo.fusing.fusion import Burst, Fused, Rule
    from zoo.store.find import Origin


class FusionModel(Network, PyTorchModelHubMixin, library_name="mfsynth", tags=["multi-focus-image-fusion"]):
    """A network with what its users need: `fuse` on pictures, and the Hub's usual methods.

    `zoo.load` gives one. It can be called with two batches of frames as every `zoo.networks.Network`.
    """

    def fuse(
        self,
        frames: Sequence[np.ndarray | str | os.PathLike[str]],
        *,
        rule: Rule | None = None,
        burst: Burst = "joint",
        symmetric: bool = True,
        tile: int | None = None,
    ) -> Fused:
        """Fuse two or more pictures: arrays, or paths of picture files; see `zoo.fuse`.

        Raises:
            PictureError: If a file cannot be read.
            FrameError: If the frames cannot be fused.
            OptionsError: If an option is out of range.
        """
        pictures = [
            read_picture(Path(each)).pixels if isinstance(each, (str, os.PathLike)) else each
            for each in frames
        ]
        return fuse(self, pictures, rule=rule, burst=burst, symmetric=symmetric, tile=tile)

    # --- what PyTorchModelHubMixin's users expect; it writes and reads a network's folder as the zoo does

    @classmethod
    def from_pretrained(  # type: ignore[override]  # nothing that is not understood is swallowed
        cls,
        pretrained_model_name_or_path: str | Path,
        *,
        force_download: bool = False,
        token: str | bool | None = None,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
        revision: str | None = None,
        map_location: str = "cpu",
        strict: Literal[True] = True,
    ) -> FusionModel:
        """A network from a folder or a Hub repository, in eval mode; see `zoo.load` for short names.

        Unlike the mixin's own, it checks every hash, refuses a config that it does not understand, takes no
        pickles, and keeps training.json with the network.
        """
        if strict is not True:
            raise ConfigError("weights are loaded strictly", "omit strict")
        folder = Path(pretrained_model_name_or_path)
        if not folder.is_dir():
            folder = pull(
                str(pretrained_model_name_or_path),
                revision,
                cache=Path(cache_dir) if cache_dir else None,
                token=token,
                force=force_download,
                local=local_files_only,
            ).folder
        return load_folder(folder, kind=FusionModel).to(map_location)

    def _save_pretrained(self, save_directory: Path) -> None:
        save_folder(save_directory, self)

    def push_to_hub(  # type: ignore[override]  # nothing that is not understood is swallowed
        self,
        repo_id: str,
        *,
        private: bool = False,
        branch: str | None = None,
        create_pr: bool = False,
    ) -> str:
        """Publish; see `zoo.push`, which this calls. Returns the page of the repository or pull request."""
        report = push(self, repo_id, private=private, revision=branch, create_pr=create_pr)
        return report.pull_request or report.url

    def generate_model_card(self, *_: Any, **__: Any) -> ModelCard:
        """The card that `zoo.push` writes, for a folder."""
        return model_card(self)


def load(
    name: str | os.PathLike[str],
    *,
    revision: str | None = None,
    device: str = "auto",
    dtype: torch.dtype | None = None,
    origin: Origin = "auto",
) -> FusionModel:
    """Load a network, in eval mode, channels last, which is faster. A short name needs no connection.

    Args:
        name: A short name (`hf-seg`; see `zoo.names`), a Hub repository (`org/name`, `org/name@revision`),
            or a folder that `mfsynth train` made.
        revision: Branch, tag or commit on the Hub; None is the registry's pinned commit, or `main`.
        device: `cpu`, `cuda`, `cuda:1`, `mps`, or `auto`: an accelerator, if there is one.
        dtype: What the network computes in, a floating-point type; None is float32.
        origin: Of a short name's files: `shipped` with the package, `hub`, or `auto`: shipped if they are
            there and their hashes are right, else the Hub.

    Raises:
        UnknownModelError: If nothing goes by this name.
        NotPublishedError: If the Hub is asked for a network that it does not have yet.
        MissingFileError, DamagedError, NewerConfigError: If its files are not what they should be.
        HubError: By its subclass: no network connection, no right, no such repository or revision.
        DeviceError: If the device is not there.
    """
    if dtype is not None and not getattr(dtype, "is_floating_point", False):
        raise OptionsError(f"dtype is {dtype!r}", "it can be torch.float32, bfloat16 or float16")
    place = find_device(device)
    found = find(name, revision=revision, origin=origin)
    model = load_folder(found.folder, found.hashes, kind=FusionModel).to(place, dtype or torch.float32)
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def find_device(name: str) -> torch.device:
    """The device of a name.

    Raises:
        DeviceError: If it is unknown, or not there.
    """
    if name == "auto":
        accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        return accelerator or torch.device("cpu")
    try:
        device = torch.device(name)
        if device.type not in ("cpu", "cuda", "mps", "xpu"):
            raise RuntimeError("it can be cpu, cuda, mps or xpu")
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise DeviceError(
            f"there is no device {name!r}: {str(error).splitlines()[0]}", "try --device cpu"
        ) from error
    return device
