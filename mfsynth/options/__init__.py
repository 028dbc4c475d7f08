"""What decides the content of a data set, and the images that it chooses."""

from mfsynth.options.build import (
    MAX_FRAMES,
    MAX_MIN_AREA,
    MAX_VARIANTS,
    BuildOptions,
    Depth,
    FrameFormat,
    Store,
)
from mfsynth.options.choose import Choice, choose, listed_fault
from mfsynth.options.keywords import ContentOptions, check_names, content_options
from mfsynth.options.presets import PRESETS, Preset, preset_options
from mfsynth.options.selection import Selection

__all__ = (
    "MAX_FRAMES",
    "MAX_MIN_AREA",
    "MAX_VARIANTS",
    "PRESETS",
    "BuildOptions",
    "Choice",
    "ContentOptions",
    "Depth",
    "FrameFormat",
    "Preset",
    "Selection",
    "Store",
    "check_names",
    "choose",
    "content_options",
    "listed_fault",
    "preset_options",
)
