"""What `zoo.load` gives with torch: a network that fuses pictures and is published on the Hub."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from huggingface_hub import PyTorchModelHubMixin

from mfsynth.errors import OptionsError
from zoo.errors import ConfigError, DeviceError, UnknownDeviceError
from zoo.networks import Network
from zoo.publishing.cards import model_card
from zoo.publishing.push import push
from zoo.stacks.fuses import Fuses
from zoo.store.folder import load_folder, save_folder
from zoo.store.pull import pull

if TYPE_CHECKING:
    from collections.abc import Callable

    from huggingface_hub import ModelCard

    from zoo.store.find import Found


class FusionModel(
    Network, Fuses, PyTorchModelHubMixin, library_name="mfsynth", tags=["multi-focus-image-fusion"]
):
    """A network with what users need: `fuse` for pictures, and the usual methods of models on the Hub.

    `zoo.load` returns one. Like every `zoo.networks.Network` it can be called with two batches of frames.
    """

    # --- what users of PyTorchModelHubMixin expect; the zoo itself writes and reads a network's folder

    @classmethod
    def from_pretrained(  # type: ignore[override]  # refuses what it does not understand
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

        Unlike the method of the mixin, it checks every hash, refuses a config that it does not understand,
        refuses pickles, and keeps training.json with the network.
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

    def push_to_hub(  # type: ignore[override]  # refuses what it does not understand
        self,
        repo_id: str,
        *,
        license: str,
        private: bool = False,
        branch: str | None = None,
        create_pr: bool = False,
    ) -> str:
        """Publish by `zoo.push`; returns the page of the repository or pull request."""
        report = push(self, repo_id, license=license, private=private, revision=branch, create_pr=create_pr)
        return report.pull_request or report.url

    def generate_model_card(self, *_: Any, **__: Any) -> ModelCard:
        """The card that `zoo.push` writes, for a folder; its owner chooses the license."""
        return model_card(self)


def load_network(locate: Callable[[], Found], device: str, dtype: torch.dtype | None) -> FusionModel:
    """A network for torch, in eval mode and channels last, which is faster.

    Args:
        locate: Finds it, or fetches it; called once it is known that the device exists.
        device: As for `zoo.load`.
        dtype: As for `zoo.load`.

    Raises:
        ZooError, HubError, OptionsError: As one of their subclasses, as for `zoo.load`.
    """
    if dtype is not None and not getattr(dtype, "is_floating_point", False):
        raise OptionsError(f"dtype is {dtype!r}", "it can be torch.float32, bfloat16 or float16")
    place, found = find_device(device), locate()
    model = load_folder(found.folder, found.hashes, kind=FusionModel).to(place, dtype or torch.float32)
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def find_device(name: str) -> torch.device:
    """The device with a name.

    Raises:
        UnknownDeviceError: If the name makes no sense.
        DeviceError: If the device does not exist on this machine.
    """
    if name == "auto":
        accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        return accelerator or torch.device("cpu")
    if name.partition(":")[0] not in ("cpu", "cuda", "mps", "xpu"):
        raise UnknownDeviceError(f"there is no device {name!r}", "it can be cpu, cuda, mps, xpu or auto")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise DeviceError(
            f"there is no device {name!r}: {str(error).splitlines()[0]}", "try --device cpu"
        ) from error
    return device
