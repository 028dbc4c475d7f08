"""The tables that rendering looks values up in, on each device once: those of `mfsynth.synthesis`."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from mfsynth.synthesis.noise import normal_quantiles
from mfsynth.synthesis.optics.breathing import STEPS
from mfsynth.synthesis.optics.light import decoded, encoded, levels
from mfsynth.synthesis.optics.targets import certainties

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

_LANCZOS = 8
"""Pixels of Lanczos's kernel, along a side."""


def _lanczos() -> NDArray[np.float64]:
    """The weights of the kernel's pixels at each step between two: those of OpenCV's remap."""
    away = np.arange(STEPS)[:, None] / STEPS + 3 - np.arange(_LANCZOS)
    weights = np.sinc(away) * np.sinc(away / 4)
    lines: NDArray[np.float64] = weights / weights.sum(1, keepdims=True)
    return lines


_MADE: dict[str, Callable[[], NDArray[np.generic]]] = {
    "srgb": lambda: levels("srgb"),
    "linear": lambda: levels("linear"),
    "encoded": encoded,
    "decoded": decoded,
    "quantiles": lambda: normal_quantiles().astype(np.float32),
    "certain": certainties,
    "lanczos": lambda: _lanczos().astype(np.float32),
}


@cache
def table(name: str, device: torch.device) -> Tensor:
    """A table, on a device."""
    return torch.from_numpy(_MADE[name]().copy()).to(device)


def looked_up(name: str, places: Tensor) -> Tensor:
    """The entries at some places, whole numbers of any type."""
    return table(name, places.device)[places.long()]
