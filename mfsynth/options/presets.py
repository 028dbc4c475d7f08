"""Named bundles of options."""

from __future__ import annotations

from typing import Any, Literal, get_args

from mfsynth.errors import OptionsError

Preset = Literal["paper", "realistic"]

_REALISTIC: dict[str, Any] = {
    "order": "layout",
    "kernel": "disk",
    "radius": (1.5, 8.0),
    "boundary": "spread",
    "light": "linear",
    "noise_model": "poisson-gaussian",
    "capture": "camera",
    "min_sharpness": 1.0,
}
PRESETS: dict[Preset, dict[str, Any]] = {"paper": {}, "realistic": _REALISTIC}
"""What each preset sets; the rest keeps its default."""


def preset_options(name: Preset) -> dict[str, Any]:
    """What a preset sets, by option.

    Raises:
        OptionsError: If there is no such preset.
    """
    if name not in PRESETS:
        raise OptionsError(f"there is no preset {name!r}", f"known: {', '.join(get_args(Preset))}")
    return dict(PRESETS[name])
