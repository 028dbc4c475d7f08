"""Multi-focus image pairs with perfect ground truth from COCO's panoptic masks.

>>> import mfsynth
>>> for sample in mfsynth.open("val2017"):  # doctest: +SKIP
...     sample.frames, sample.focus, sample.gt, sample.recipe

Everything public is listed in `__all__` and imported when it is first used: importing mfsynth loads neither
OpenCV nor torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mfsynth.version import __version__ as __version__

if TYPE_CHECKING:
    from mfsynth.building.make import build
    from mfsynth.building.merge import merge
    from mfsynth.building.report import BuildReport
    from mfsynth.errors import (
        BuildError,
        DownloadError,
        MfsynthError,
        MissingExtraError,
        OptionsError,
        OutputError,
        ShardError,
        SourceError,
    )
    from mfsynth.live import synthesize
    from mfsynth.sample import (
        Blur,
        FrameRecipe,
        ImageInfo,
        Optics,
        Recipe,
        Sample,
        Scene,
        Segment,
        Shot,
        Traits,
        Window,
    )
    from mfsynth.shards.manifest import Manifest
    from mfsynth.shards.reader import decode, open
    from mfsynth.synthesis.render import render
    from mfsynth.verification.check import verify
    from mfsynth.verification.report import Verification

__all__ = [
    "Blur",
    "BuildError",
    "BuildReport",
    "DownloadError",
    "FrameRecipe",
    "ImageInfo",
    "Manifest",
    "MfsynthError",
    "MissingExtraError",
    "Optics",
    "OptionsError",
    "OutputError",
    "Recipe",
    "Sample",
    "Scene",
    "Segment",
    "ShardError",
    "Shot",
    "SourceError",
    "Traits",
    "Verification",
    "Window",
    "build",
    "decode",
    "merge",
    "open",
    "render",
    "synthesize",
    "verify",
]

_ROOMS = {
    "BuildReport": "mfsynth.building.report",
    "Manifest": "mfsynth.shards.manifest",
    "Verification": "mfsynth.verification.report",
    "build": "mfsynth.building.make",
    "decode": "mfsynth.shards.reader",
    "merge": "mfsynth.building.merge",
    "open": "mfsynth.shards.reader",
    "render": "mfsynth.synthesis.render",
    "synthesize": "mfsynth.live",
    "verify": "mfsynth.verification.check",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    room = _ROOMS.get(name, "mfsynth.errors" if name.endswith("Error") else "mfsynth.sample")
    return getattr(import_module(room), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
