"""Networks for multi-focus fusion, and the zoo of pretrained ones.

>>> import zoo
>>> model = zoo.load("hf-seg")  # doctest: +SKIP
>>> fused = model.fuse([near, far])  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mfsynth.errors import MissingExtraError

if TYPE_CHECKING:
    from zoo.about import info
    from zoo.fusion import Fused, fuse
    from zoo.hourglass import Config, Hourglass
    from zoo.hub import push
    from zoo.loading import load
    from zoo.registry import names

__all__ = ["Config", "Fused", "Hourglass", "fuse", "info", "load", "names", "push"]

_ROOMS = {
    "Config": "zoo.hourglass",
    "Fused": "zoo.fusion",
    "Hourglass": "zoo.hourglass",
    "fuse": "zoo.fusion",
    "info": "zoo.about",
    "load": "zoo.loading",
    "names": "zoo.registry",
    "push": "zoo.hub",
}

_EXTRA = ("torch", "safetensors", "PIL", "jinja2")


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(_ROOMS[name]), name)
    except ModuleNotFoundError as error:
        if error.name in _EXTRA:
            raise MissingExtraError(error.name, "zoo") from error
        raise
