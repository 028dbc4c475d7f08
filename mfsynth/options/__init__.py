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
from mfsynth.options.choose import Choice, choose, listed_fault, split_of
from mfsynth.options.keywords import ContentOptions, check_names, content_options, with_depth
from mfsynth.options.presets import PRESETS, Preset, Shown, preset_options, with_preset
from mfsynth.options.selection import Selection
from mfsynth.options.words import option_words

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
    "Shown",
    "Store",
    "check_names",
    "choose",
    "content_options",
    "listed_fault",
    "option_words",
    "preset_options",
    "split_of",
    "with_depth",
    "with_preset",
)
