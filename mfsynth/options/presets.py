"""Named bundles of options."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, get_args

from mfsynth import schema
from mfsynth.errors import OptionsError
from mfsynth.options.build import SERVES, BuildOptions
from mfsynth.options.words import option_words

if TYPE_CHECKING:
    from collections.abc import Mapping

Preset = Literal["paper", "realistic"]

_REALISTIC: dict[str, Any] = {
    "order": "layout",
    "kernel": "disk",
    "radius": (1.5, 8.0),
    "boundary": "spread",
    "light": "linear",
    "noise_model": "poisson-gaussian",
    "capture": "camera",
    "min_sharpness": 3.0,
}
PRESETS: dict[Preset, dict[str, Any]] = {"paper": {}, "realistic": _REALISTIC}
"""What each preset sets; the rest keeps its default."""


def preset_options(name: Preset) -> dict[str, Any]:
    """What a preset sets, by option.

    Raises:
        OptionsError: If there is no such preset.
    """
    if name not in get_args(Preset):
        raise OptionsError(f"there is no preset {name!r}", f"known: {', '.join(get_args(Preset))}")
    return dict(PRESETS[name])


def with_preset(name: Preset, split: str, given: Mapping[str, Any]) -> BuildOptions:
    """A preset's options, overridden by those that are given.

    Where what is given leaves an option of the preset without effect, such as a Gaussian the disk's radius,
    that option keeps its default.

    Raises:
        OptionsError: If there is no such preset, or a value makes no sense.
    """
    preset = preset_options(name)
    merged = preset | dict(given)
    bare = BuildOptions(
        split, **{key: value for key, value in merged.items() if key not in SERVES or key in given}
    )
    idle = {key for key in preset.keys() - given.keys() if key in SERVES and not SERVES[key].holds(bare)}
    return BuildOptions(split, **{key: value for key, value in merged.items() if key not in idle})


@dataclass(frozen=True, slots=True)
class Shown:
    """What a preset sets, and the options of a build with it.

    Attributes:
        preset: Its name.
        given: Names of the options that the user gave.
        options: The effective ones.
    """

    preset: Preset
    given: frozenset[str]
    options: BuildOptions

    def to_json(self) -> dict[str, Any]:
        """What the preset sets, and all effective options, as JSON's own types."""
        effective = schema.defaults(BuildOptions) | self.options.to_json()
        return {"preset": self.preset, "sets": preset_options(self.preset), "options": effective}

    def lines(self) -> list[str]:
        """The same for people: each option with an effect, and where its value comes from."""
        sets = preset_options(self.preset)
        told = " ".join(word for name, value in sets.items() for word in option_words(name, value))
        lines = [f"preset {self.preset}: {told or 'every option at its default'}", "options of this build:"]
        for name, value in ((each.name, getattr(self.options, each.name)) for each in fields(BuildOptions)):
            if name in self.given:
                origin = "given"
            elif value == sets.get(name):
                origin = "preset"
            elif name in SHOWN and (name not in SERVES or SERVES[name].holds(self.options)):
                origin = "default"
            else:
                continue
            lines.append(f"  {' '.join(option_words(name, value)):<32}  {origin}")
        return lines


SHOWN = tuple(
    each.name
    for each in fields(BuildOptions)
    if each.default and each.default != (0.0, 0.0) and each.name not in ("split", "images", "depth")
)
"""Options that say something at their default."""
