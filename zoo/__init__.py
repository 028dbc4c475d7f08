"""Networks for multi-focus fusion, and the zoo of pretrained ones.

>>> import zoo
>>> model = zoo.load("focus-set")  # doctest: +SKIP
>>> fused = model.fuse([near, far])  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mfsynth.errors import MissingExtraError

if TYPE_CHECKING:
    from zoo.fusing.fuse_frames import Fused, fuse
    from zoo.loading import load
    from zoo.networks import Config
    from zoo.pretrained import FusionModel
    from zoo.publishing.info import info
    from zoo.publishing.push import push
    from zoo.stacks.fuse import FusedStack, fuse_stack
    from zoo.stacks.options import FuseOptions
    from zoo.store.registry import names

__all__ = [
    "Config", "FuseOptions", "Fused", "FusedStack", "FusionModel", "fuse", "fuse_stack", "info", "load",
    "names", "push",
]  # fmt: skip

_ROOMS = {
    "Config": "zoo.networks",
    "FuseOptions": "zoo.stacks.options",
    "Fused": "zoo.fusing.fuse_frames",
    "FusedStack": "zoo.stacks.fuse",
    "FusionModel": "zoo.pretrained",
    "fuse": "zoo.fusing.fuse_frames",
    "fuse_stack": "zoo.stacks.fuse",
    "info": "zoo.publishing.info",
    "load": "zoo.loading",
    "names": "zoo.store.registry",
    "push": "zoo.publishing.push",
}

_EXTRA = ("torch", "safetensors", "PIL", "jinja2")


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(_ROOMS[name]), name)
    except ModuleNotFoundError as error:
        if error.name in _EXTRA:
            raise MissingExtraError(error.name, "fuse") from error
        raise
