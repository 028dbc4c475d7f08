"""Whether frames can be of one stack: other scenes, turned frames, duplicates, and frames that moved.

Scenes are compared in pictures of a few dozen pixels: those of one scene agree, however they are focused.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import cv2
import numpy as np

from mfsynth.console import count
from zoo.alignment.pictures import MIN_SIDE
from zoo.alignment.register import UNALIGNED, looks_unaligned
from zoo.errors import FrameError
from zoo.stacks.planning.survey import detail_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from zoo.stacks.planning.levels import Levels
    from zoo.stacks.planning.survey import Look

    Picture = NDArray[np.float32]

# The sides of the pictures, and the least likeness of one scene. At one of these sides, frames of one scene
# reach 0.8 and more, with defocus of 16 in 640 pixels, shifts of 5 %, scales of 5 % and turns of 3 degrees;
# frames of different scenes mostly stay below 0.5.
_SIDES = (32, 64)
_ALIKE = 0.5
_TURNED = 0.2
_SHIFT = 0.15

_FINE, _COARSE = 1.0, 4.0
_NOISE = 1 / 255
_TEXTURE = 0.2

_SCENES = 8
# The squared difference of detail, relative to its power. Between neighbors of a stack it is 0.4 and more
# with a little noise, and mostly 1 without. Saved again as JPEG at 90 and more, it is mostly below 0.2, and
# below 0.8 in each part.
_SAME_GRAIN = 0.2
_SAME_DETAIL = 0.8
_LOST = 10 / 255

_TURNS = {
    (2, False): "turned by 180 degrees",
    (0, True): "mirrored left to right",
    (2, True): "mirrored top to bottom",
    (1, False): "turned by 90 degrees",
    (3, False): "turned by 90 degrees",
    (1, True): "turned by 90 degrees and mirrored",
    (3, True): "turned by 90 degrees and mirrored",
}
"""Quarter turns and whether then mirrored, in words."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """What is odd about the frames of a stack.

    Attributes:
        unlike: Why each of some frames is of another scene or is turned, by its place: it is left out.
        warnings: Lines for people: duplicates, frames that look shifted.
    """

    unlike: Mapping[int, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def likeness_of(looks: Sequence[Look], levels: Levels, *, aligned: bool) -> Likeness:
    """Compare the frames of a stack; the time grows with their number.

    Args:
        looks: The frames.
        levels: Black and white.
        aligned: Whether they will be registered, so that shifts are no reason for a warning.

    Raises:
        FrameError: If the frames are of several scenes, none of which most of them show.
    """
    prints = [_print_of(look, levels) for look in looks]
    unlike = _unlike(looks, prints)
    left = [k for k in range(len(looks)) if looks[k].place not in unlike]
    warnings = _duplicates([looks[k] for k in left])
    if not aligned and min(looks[0].small.shape[:2]) >= MIN_SIDE:
        warnings += _shifted([looks[k] for k in left], levels)
    return Likeness(unlike, tuple(warnings))


# --- Scenes -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Print:
    """A frame at a glance.

    Attributes:
        bands: Its contours at each of `_SIDES`, with even contrast.
        textured: Whether there are any.
    """

    bands: tuple[Picture, ...]
    textured: bool


def _print_of(look: Look, levels: Levels) -> _Print:
    picture = look.small if look.small.ndim == 2 else look.small.astype(np.float32).mean(axis=2)
    height, width = picture.shape
    grays = []
    for side in _SIDES:
        size = tuple(max(8, round(each * side / max(height, width))) for each in (width, height))
        small = cv2.resize(picture.astype(np.float32), size, interpolation=cv2.INTER_AREA)
        grays.append(levels.seen(small))
    bands = tuple(map(_band, grays))
    return _Print(bands, all(float(np.mean(np.square(each))) >= _TEXTURE for each in bands))


def _band(picture: Picture) -> Picture:
    detail = cv2.GaussianBlur(picture, (0, 0), _FINE) - cv2.GaussianBlur(picture, (0, 0), _COARSE)
    power = cv2.GaussianBlur(detail * detail, (0, 0), _COARSE)
    return np.asarray(detail / np.sqrt(power + np.float32(_NOISE**2)), np.float32)


def _alike(one: Picture, other: Picture) -> float:
    """The correlation of two pictures of one size at their best shift, of up to a seventh of the sides."""
    y, x = (max(1, round(_SHIFT * side)) for side in one.shape)
    inner = np.ascontiguousarray(other[y:-y, x:-x])
    return float(cv2.matchTemplate(np.ascontiguousarray(one), inner, cv2.TM_CCOEFF_NORMED).max())


def _best(one: _Print, other: _Print) -> float:
    return max(_alike(a, b) for a, b in zip(one.bands, other.bands, strict=True))


def _unlike(looks: Sequence[Look], prints: Sequence[_Print]) -> dict[int, str]:
    """Why each frame that does not show what most do is left out; frames without contours are not judged."""
    scenes = _scenes([k for k, each in enumerate(prints) if each.textured], prints)
    if len(scenes) < 2:
        return {}
    largest = max(scenes, key=len)
    judged = sum(map(len, scenes))
    if judged > 2 and len(largest) <= judged / 2:
        shown = " | ".join(", ".join(looks[k].name for k in scene[:3]) for scene in scenes[:3])
        raise FrameError(f"the frames are of different scenes: {shown}", "fuse each scene separately")
    example = largest[0]
    return {
        looks[k].place: _reason(prints[example], prints[k], looks[example].name)
        for scene in scenes
        if scene is not largest
        for k in scene
    }


def _scenes(places: Sequence[int], prints: Sequence[_Print]) -> list[list[int]]:
    """Frames by what they show: each joins the scene whose last or first frame it resembles most."""
    scenes: list[list[int]] = []
    for place in places:
        likely = sorted(scenes, key=len)[-_SCENES:]
        found = [
            (max(_best(prints[scene[-1]], prints[place]), _best(prints[scene[0]], prints[place])), scene)
            for scene in likely
        ]
        best, scene = max(found, key=lambda each: each[0], default=(0.0, []))
        if best >= _ALIKE and not _turn(prints[scene[-1]], prints[place]):
            scene.append(place)
        else:
            scenes.append([place])
    return scenes


def _turn(one: _Print, other: _Print) -> str:
    """How a frame is turned or mirrored, if it is; else empty."""
    still = _alike(one.bands[-1], other.bands[-1])
    found = [(_alike(one.bands[-1], turned), words) for turned, words in _turned(other.bands[-1])]
    best, words = max(found)
    return words if best >= max(_ALIKE, still + _TURNED) else ""


def _turned(picture: Picture) -> Iterator[tuple[Picture, str]]:
    for (quarters, mirrored), words in _TURNS.items():
        if quarters % 2 == 0 or picture.shape[0] == picture.shape[1]:
            turned = np.rot90(picture, quarters)
            yield np.ascontiguousarray(turned[:, ::-1] if mirrored else turned), words


def _reason(one: _Print, other: _Print, name: str) -> str:
    turn = _turn(one, other)
    return f"is {turn} relative to {name}" if turn else f"shows another scene than {name}"


# --- Duplicates -----------------------------------------------------------------------------------------


def _duplicates(looks: Sequence[Look]) -> list[str]:
    """A warning if frames have the detail and the noise of an earlier one, such as a file saved twice."""
    pairs = []
    unit = max((abs(value) for look in looks for value in (look.low, look.high)), default=0.0) or 1.0
    grains = [look.grain / np.float32(unit) for look in looks]
    for k, look in enumerate(looks):
        for earlier, grain in zip(looks[:k], grains, strict=False):
            if _apart(grain, grains[k]) < _SAME_GRAIN and _same(earlier, look, unit):
                pairs.append((look.name, earlier.name))
                break
    if not pairs:
        return []
    more = f"; {count(len(pairs) - 1, 'more duplicate')}" if len(pairs) > 1 else ""
    return [f"{pairs[0][0]} shows the same as {pairs[0][1]}, in the same focus{more}"]


def _apart(one: Picture, other: Picture) -> float:
    return 2 * float(np.square(one - other).sum()) / max(float(one @ one + other @ other), 1e-9)


def _same(one: Look, other: Look, unit: float) -> bool:
    """Whether small pictures have the same detail in every part, but for what JPEG loses."""
    details = [detail_of(look.small) / np.float32(unit) for look in (one, other)]
    apart = _in_parts(np.square(details[0] - details[1]))
    power = _in_parts(np.square(details[0]) + np.square(details[1]))
    return bool((2 * apart < _SAME_DETAIL * (power + 2 * _LOST**2)).all())


def _in_parts(picture: Picture) -> Picture:
    size = tuple(max(1, min(16, side // 16)) for side in picture.shape[::-1])
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.float32)


# --- Moves ----------------------------------------------------------------------------------------------


def _shifted(looks: Sequence[Look], levels: Levels) -> list[str]:
    """A warning if frames look shifted from the one before them, or from the first."""
    shifts = []
    for before, look in pairwise(looks):
        for other in {before.place: before, looks[0].place: looks[0]}.values():
            far = looks_unaligned([levels.seen(each.small) for each in (other, look)])[1] * look.factor
            if far > UNALIGNED:  # false for NaN, where nothing is known
                shifts.append((far, look, other))
    if not shifts:
        return []
    far, look, other = max(shifts, key=lambda each: each[0])
    more = len({each[1].place for each in shifts}) - 1
    if not more:
        return [f"{look.name} looks shifted by {far:.1f} pixels from {other.name}; consider --align"]
    which = f"{look.name} and {count(more, 'other frame')}"
    return [f"{which} look shifted, by up to {far:.1f} pixels; consider --align"]
