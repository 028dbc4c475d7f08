"""Networks for multi-focus fusion, and the zoo of pretrained ones.

>>> import zoo
>>> model = zoo.load("runs/mine")  # doctest: +SKIP
>>> fused = model.fuse([near, far])  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.fusion import Fused, fuse
    from zoo.hourglass import Config, Hourglass
    from zoo.loading import load

__all__ = ["Config", "Fused", "Hourglass", "fuse", "load"]

_ROOMS = {
    "Config": "zoo.hourglass",
    "Fused": "zoo.fusion",
    "Hourglass": "zoo.hourglass",
    "fuse": "zoo.fusion",
    "load": "zoo.loading",
}


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_ROOMS[name]), name)
