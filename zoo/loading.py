"""`zoo.load`: a network by its name or its folder, ready to fuse."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from zoo.errors import ZooError
from zoo.folder import load_folder

if TYPE_CHECKING:
    from zoo.hourglass import Hourglass

WEIGHTS = Path(__file__).parent / "weights"
"""The networks that are part of the package, a folder each."""


def load(
    name: str | os.PathLike[str], *, device: str = "auto", dtype: torch.dtype | None = None
) -> Hourglass:
    """Load a network, in eval mode.

    Args:
        name: The name of one that comes with the package (`hf-seg`), or a folder that `mfsynth train` made.
        device: `cpu`, `cuda`, `cuda:1`, `mps`, or `auto`: an accelerator, if there is one.
        dtype: What the network computes in; None is float32.

    Raises:
        ZooError: If there is no such network, its files are missing or broken, or the device is not there.
    """
    folder = WEIGHTS / os.fspath(name) if os.fspath(name) in shipped() else Path(name)
    if not folder.is_dir():
        known = f"or one of {', '.join(shipped())}" if shipped() else "no weights come with this package"
        raise ZooError(f"there is no network {os.fspath(name)!r}", f"give a folder; {known}")
    return load_folder(folder).to(find_device(device), dtype or torch.float32)


def shipped() -> list[str]:
    """Names of the networks that come with the package."""
    return sorted(folder.name for folder in WEIGHTS.glob("*") if folder.is_dir())


def find_device(name: str) -> torch.device:
    """The device of a name.

    Raises:
        ZooError: If it is unknown, or not there.
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
        raise ZooError(
            f"there is no device {name!r}: {str(error).splitlines()[0]}", "try --device cpu"
        ) from error
    return device
