"""How frames differ in exposure and white balance, from what they show in common.

Blur keeps local means, so these are compared, not pixels. Two things disturb that. Sharp and blurred texture
have different means where light was blurred before it was encoded: by a Taylor series of the curve
e = l^(1/2.4), a mean over texture of variance v is lower by 0.7 v / e. The fit has a term of this form, whose
size it finds. And clipped values have no exposure; they do not count.

A change of exposure is affine in sRGB's values: with e = 1.055 l^(1/2.4) - 0.055, a gain k of the light gives
g e + 0.055 (g - 1), where g = k^(1/2.4). So is one made by editing, g e. The fit is between the two.

What a fit over all of a picture finds may be due to blur all the same. So it is checked where blur changes
least: in the flattest places, the frames must agree far better with it than without.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from zoo.alignment.similarity import IDENTITY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from zoo.alignment.similarity import Similarity
    from zoo.stacks.options import Exposure
    from zoo.stacks.planning.levels import Levels
    from zoo.stacks.planning.survey import Look

    Values = NDArray[np.float64]

LARGEST_GAIN = 8.0
"""Frames that differ by a larger gain of their values are not matched."""

COARSEST = 4 / 255
"""The coarsest step of values that matching may leave, in units of the range from black to white."""

UNTOUCHED = 1.5 / 255
"""Frames that differ by less than this, as the root of a mean square, keep their values."""

# Pictures of this many pixels on the longer side are compared, smoothed by this sigma, at every third pixel.
_SIDE, _SMOOTH, _STEP = 128, 2.0, 3
# Values outside do not count; a frame that is within the last of black or white all over is clipped.
_DARK, _BRIGHT, _CLIPPED = 2 / 255, 250 / 255, 3 / 255
_SHOWN = 0.999
# Below this share of usable places, frames are not compared, and must be this near to be left as they are.
_LEAST_SHARE, _NEAR = 0.02, 4 / 255
# A change must be this many times its standard error. On 548 drawn pairs of equal exposure, 2 were changed.
_DOUBT = 3.0
_HARMLESS_GAIN, _LEAST_GAIN = 2.0, 1e-3
# The check: of the places that change by at least this, the flattest share, and the fewest to judge by. Of
# their difference, this part may remain. Of pairs of train2017 made 2 % darker, 95 in 100 keep 0.27 or less.
_TELLING, _FLATTEST, _FEWEST, _REMAINS = 1 / 255, 0.05, 5, 0.6
# The fit: rounds of reweighting, noise of local means, what is added to e in sRGB's curve, prior of haze.
_ROUNDS, _NOISE, _CURVE, _VEIL = 8, 0.003, 0.055, 0.01


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

    def describe(self) -> str:
        """One line for people; channels that differ by less than 1 % are told as one.

        >>> Tone((1.251, 1.25, 1.249), (0.0, 0.0, 0.0)).describe()
        'gain 1.25'
        >>> Tone((1.25, 1.2, 1.1), (3.0, 2.5, 2.0)).describe()
        'gains 1.25, 1.20, 1.10'
        """
        if max(self.gain) < 1.01 * min(self.gain):
            return f"gain {sum(self.gain) / len(self.gain):.2f}"
        return f"gains {', '.join(f'{each:.2f}' for each in self.gain)}"


@dataclass(frozen=True, slots=True)
class Match:
    """How the frames of a stack match in exposure.

    Attributes:
        tones: By the frame's place: from its values to those of the common exposure.
        failed: Why each of the others cannot be matched, by its place: black, saturated, too dark.
    """

    tones: Mapping[int, Tone]
    failed: Mapping[int, str] = field(default_factory=dict)


def clipped(looks: Sequence[Look], levels: Levels) -> dict[int, str]:
    """Why frames that are black or white all over cannot take part; none if all are: then none is wrong.

    A few bright things before black may show in one frame and be blurred away in the next. Blur keeps the
    mean, though: a frame without light has a mean far below that of one with some.
    """
    means = {look.place: _coarse(look, levels) for look in looks}
    found = {}
    for word, light in (("black", means), ("saturated", {place: 1 - each for place, each in means.items()})):
        most = max((each.mean() for each in light.values() if not _is_none(each)), default=0.0)
        for place, each in light.items():
            if _is_none(each) and LARGEST_GAIN * each.mean() < most:
                found[place] = f"is {word}"
    return found if len(found) < len(looks) else {}


def _coarse(look: Look, levels: Levels) -> NDArray[np.float32]:
    """A frame as a very small picture, with black as 0 and white as 1."""
    size = tuple(min(side, _SIDE // 2) for side in look.small.shape[1::-1])
    means = cv2.resize(look.small, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    return np.asarray((means - levels.black) / (levels.white - levels.black), np.float32)


def _is_none(light: NDArray[np.float32]) -> bool:
    """Whether there is next to no light, but for a hundredth of the picture."""
    return float(np.quantile(light, 0.99)) < _CLIPPED


def match(
    looks: Sequence[Look], moves: Mapping[int, Similarity], levels: Levels, exposure: Exposure
) -> Match:
    """Bring frames to one exposure.

    Every frame is compared with what all show on average, so that errors do not add up along a stack. Frames
    that hardly differ from the one that gives the exposure keep their values exactly.

    Args:
        looks: The frames, by their places.
        moves: Where each lies relative to the first; frames that are missing here take no part.
        levels: Black and white.
        exposure: Of the result: the first frame's that can be matched or, with `median`, that of the frame in
            the middle of all by brightness, the darker of two. `keep` matches as `first` does.
    """
    means = {look.place: _means(look, moves[look.place], levels) for look in looks if look.place in moves}
    if len(means) < 2:
        return Match({place: _plain(each) for place, each in means.items()})
    middle = _middle(means)
    lines, failed = _lines(means, middle)
    largest = _largest_gain(levels, looks[0].dtype)
    failed |= _too_far(lines, middle, largest)
    lines = {place: line for place, line in lines.items() if place not in failed}
    chosen = _middle({place: means[place] for place in lines}) if exposure == "median" else min(lines)
    failed |= _too_far(lines, chosen, largest)
    tones = {
        place: _tone(_relative(line, lines[chosen]), means[chosen], means[place], levels)
        for place, line in lines.items()
        if place not in failed
    }
    return Match(tones, failed)


def _middle(means: Mapping[int, _Means]) -> int:
    """The place of the frame in the middle by brightness; the darker of two, so that less is clipped."""
    by_brightness = sorted(means, key=lambda place: (means[place].brightness, place))
    return by_brightness[(len(by_brightness) - 1) // 2]


# --- Local means --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Means:
    """A frame's local means in the first frame's geometry, h x w x channels, with black as 0 and white as 1.

    Attributes:
        mean: Of the values.
        power: Of their squares.
        weight: 1 where the frame shows something that is neither black nor saturated, falling to 0.
        shown: h x w, bool: where it shows anything.
    """

    mean: NDArray[np.float32]
    power: NDArray[np.float32]
    weight: NDArray[np.float32]
    shown: NDArray[np.bool_]

    @property
    def brightness(self) -> float:
        return float(self.mean[self.shown].mean()) if self.shown.any() else 0.0

    def toned(self, line: _Line) -> _Means:
        gain, offset = (np.array(each, np.float32) for each in (line.gain, line.offset))
        power = gain**2 * self.power + 2 * gain * offset * self.mean + offset**2
        return _Means(gain * self.mean + offset, power, self.weight, self.shown)


def _means(look: Look, move: Similarity, levels: Levels) -> _Means:
    values = (look.small.astype(np.float32) - np.float32(levels.black)) / np.float32(
        levels.white - levels.black
    )
    values = values if values.ndim == 3 else values[..., None]
    usable = ((values > _DARK) & (values < _BRIGHT)).astype(np.float32)
    height, width = values.shape[:2]
    factor = min(1.0, _SIDE / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    small = move.enlarged(size[0] / look.width)
    mean, power, usable = (
        _onto(cv2.resize(each, size, interpolation=cv2.INTER_AREA), small, move)
        for each in (values, values * values, usable)
    )
    shown = _onto(np.ones((size[1], size[0]), np.float32), small, move)
    weight = (4 * usable - 3).clip(0, 1) * (shown > _SHOWN)
    return _Means(mean, power, weight, shown[..., 0] > _SHOWN)


def _onto(picture: NDArray[Any], small: Similarity, move: Similarity) -> NDArray[np.float32]:
    if move != IDENTITY:
        size = picture.shape[1::-1]
        picture = cv2.warpAffine(picture, small.matrix, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    return np.asarray(picture if picture.ndim == 3 else picture[..., None], np.float32)


# --- Lines from one frame's values to another's ---------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Line:
    """gain * value + offset, for each channel, with black as 0 and white as 1."""

    gain: tuple[float, ...]
    offset: tuple[float, ...]

    @property
    def strength(self) -> float:
        """The gain over all channels."""
        return math.exp(float(np.mean(np.log(self.gain))))


def _lines(means: Mapping[int, _Means], middle: int) -> tuple[dict[int, _Line], dict[int, str]]:
    """From each frame's values to a common exposure, and why there is none for some frames."""
    first = {place: _fit(means[middle], each) for place, each in means.items() if place != middle}
    first[middle] = _unchanged(means[middle])
    found = {place: line for place, line in first.items() if line is not None}
    failed = dict.fromkeys(first.keys() - found.keys(), "shares too little with the others to be matched")
    if len(found) > 2:
        common = _average([means[place].toned(line) for place, line in found.items()])
        found = {place: _fit(common, means[place]) or line for place, line in found.items()}
    return found, failed


def _average(means: Sequence[_Means]) -> _Means:
    """What frames show on average, where most show something."""
    weights = [each.weight for each in means]
    total = np.asarray(sum(weights), np.float32)
    floor = np.maximum(total, np.float32(1e-6))
    mean, power = (
        np.asarray(sum(each.weight * getattr(each, name) for each in means) / floor, np.float32)
        for name in ("mean", "power")
    )
    weight = (2 * total / len(means)).clip(0, 1)
    return _Means(mean, power, weight, np.any([each.shown for each in means], axis=0))


def _fit(reference: _Means, frame: _Means) -> _Line | None:
    """The line from a frame's values to the reference's; None if they share too little.

    The channels are fitted together, and then each with the common line as its prior, so that a channel that
    shows little, such as the blue of a red flower, follows the others.
    """
    data = _compared(reference, frame)
    channels = range(len(data))
    whole = _Data(*(np.concatenate([getattr(each, name) for each in data]) for name in _Data.__slots__))
    if whole.count.mean() < _LEAST_SHARE:
        return _unchanged(frame) if _near(reference, frame) else None
    gain, offset, bend = _robust(whole, prior=None)
    each = [_robust(data[k], prior=(gain, offset, bend)) for k in channels] if len(data) > 1 else []
    each = each or [(gain, offset, bend)]
    gains = tuple(max(one[0], _LEAST_GAIN) for one in each)
    return _Line(gains, tuple(one[1] for one in each))


def _unchanged(frame: _Means) -> _Line:
    channels = frame.mean.shape[2]
    return _Line((1.0,) * channels, (0.0,) * channels)


def _near(one: _Means, other: _Means) -> bool:
    both = one.shown & other.shown
    return bool(both.any()) and float(np.median(np.abs(one.mean - other.mean)[both])) < _NEAR


@dataclass(frozen=True, slots=True, eq=False)
class _Data:
    """What two frames show of the same places, in one channel or all: vectors.

    Attributes:
        x: Local means of the frame.
        y: Of the reference.
        spread: Local variance of the frame.
        other: Of the reference.
        count: How much of each place counts, 0 to 1.
    """

    x: Values
    y: Values
    spread: Values
    other: Values
    count: Values


def _compared(reference: _Means, frame: _Means) -> list[_Data]:
    """The channels of two frames, over smoothed pictures of what both show."""
    weight = reference.weight * frame.weight + np.float32(1e-6)
    total = _smoothed(weight)
    step = _STEP

    def mean(picture: NDArray[np.float32]) -> Values:
        return (_smoothed(picture * weight) / total).astype(np.float64)

    x, y = mean(frame.mean), mean(reference.mean)
    spread, other = mean(frame.power) - x * x, mean(reference.power) - y * y
    columns = [each[::step, ::step].reshape(-1, x.shape[2]) for each in (x, y, spread, other, total)]
    return [_Data(*(each[:, k].astype(np.float64) for each in columns)) for k in range(x.shape[2])]


def _smoothed(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    smooth = cv2.GaussianBlur(picture, (0, 0), _SMOOTH)
    return np.asarray(smooth.reshape(picture.shape), np.float32)


def _robust(data: _Data, prior: tuple[float, float, float] | None) -> tuple[float, float, float]:
    """y = gain x + offset + bend z by reweighted least squares, z being the difference of variances over e.

    The prior of the offset is that of a change of exposure, c (gain - 1) with c from 0 to 0.055, and a little
    for haze and for a background that drifts. That of the bend is from 0 (values were blurred) to -0.7 (light
    was). x is taken halfway to the fit: both frames have errors, and what does not agree lowers no gain.
    """
    if prior is None:
        gain, offset, bend = float(np.median((data.y + 0.01) / (data.x.clip(0) + 0.01))), 0.0, 0.0
    else:
        gain, offset, bend = prior
    for _ in range(_ROUNDS):
        z = (data.other - gain**2 * data.spread) / np.maximum(data.y + _CURVE, 0.1)
        error = np.hypot(_NOISE, z)
        residual = (data.y - gain * data.x - offset - bend * z) / error
        scale = max(1.4826 * float(np.median(np.abs(residual))), 1e-3)
        weight = data.count / error**2 / (1 + (residual / (2 * scale)) ** 2) ** 2
        half = _CURVE / 2
        loose = half * abs(gain - 1) + _VEIL
        if prior is None:
            center, width = (1.0, half * (gain - 1), -0.35), (1e3, loose, 0.35)
        else:
            center, width = (prior[0], half * (gain - 1), prior[2]), (0.1, loose, 0.1)
        middle = (data.x + (data.y - offset - bend * z) / max(gain, _LEAST_GAIN)) / 2
        columns = np.stack([middle, np.ones_like(z), z], axis=1)
        ridge = (scale / np.array(width)) ** 2
        normal = (columns.T * weight) @ columns + np.diag(ridge)
        right = (columns.T * weight) @ data.y + ridge * np.array(center)
        gain, offset, bend = map(float, np.linalg.solve(normal, right))
    return gain, offset, bend


# --- Tones ----------------------------------------------------------------------------------------------


def _relative(line: _Line, chosen: _Line) -> _Line:
    """From a frame's values to those of the chosen frame, given the lines of both to the common exposure."""
    gain = tuple(one / other for one, other in zip(line.gain, chosen.gain, strict=True))
    offset = tuple(
        (one - other) / by for one, other, by in zip(line.offset, chosen.offset, chosen.gain, strict=True)
    )
    return _Line(gain, offset)


def _largest_gain(levels: Levels, dtype: np.dtype[Any]) -> float:
    """By how much values may grow: not so that the steps between them show, or no more than before."""
    steps = levels.white - levels.black
    return LARGEST_GAIN if dtype.kind == "f" else min(LARGEST_GAIN, max(_HARMLESS_GAIN, COARSEST * steps))


def _too_far(lines: Mapping[int, _Line], chosen: int, largest: float) -> dict[int, str]:
    """The frames that are too dark or too bright for the exposure of the chosen one."""
    found = {}
    others = "the others" if len(lines) > 2 else "the other"
    for place, line in lines.items():
        gain = _relative(line, lines[chosen]).strength
        if gain > largest:
            found[place] = f"is {gain:.1f} times darker than {others}, too much to be matched"
        elif gain < 1 / LARGEST_GAIN:
            found[place] = f"is {1 / gain:.1f} times brighter than {others}, too much to be matched"
    return found


def _tone(line: _Line, chosen: _Means, frame: _Means, levels: Levels) -> Tone:
    """The line in the frames' own values; plain if it hardly changes the frame, or is uncertain."""
    change = _size(frame.toned(line).mean - frame.mean, frame)
    if (
        change < UNTOUCHED
        or not _confirmed(line, chosen, frame)
        or change < _DOUBT * _error(chosen, frame)  # last, since it takes longest
    ):
        return _plain(frame)
    span = levels.white - levels.black
    offset = tuple(
        levels.black * (1 - gain) + span * each for gain, each in zip(line.gain, line.offset, strict=True)
    )
    return Tone(line.gain, offset)


def _size(change: NDArray[np.float32], frame: _Means) -> float:
    return float(np.sqrt(np.mean(np.square(change[frame.shown]))))


def _error(chosen: _Means, frame: _Means) -> float:
    """The standard error of a frame's values, matched: a jackknife over the quarters of the picture."""
    height, width = frame.shown.shape
    found = []
    for rows in (slice(height // 2), slice(height // 2, None)):
        for columns in (slice(width // 2), slice(width // 2, None)):
            weight = chosen.weight.copy()
            weight[rows, columns] = 0
            line = _fit(replace(chosen, weight=weight), frame)
            found.append(frame.toned(line).mean if line is not None else frame.mean)
    spread = np.stack(found) - np.mean(found, axis=0)
    return math.sqrt((len(found) - 1) / len(found) * sum(_size(each, frame) ** 2 for each in spread))


def _confirmed(line: _Line, chosen: _Means, frame: _Means) -> bool:
    """Whether frames agree far better with a line than without in the flattest places that it changes.

    Flat is what has a low variance over e in both frames: by that, blur of light changes means.
    """
    without, remaining, texture = [], [], []
    for data, gain, offset in zip(_compared(chosen, frame), line.gain, line.offset, strict=True):
        matched = gain * data.x + offset
        telling = (np.abs(matched - data.x) >= _TELLING) & (data.count >= 0.5)
        without.append(np.abs(data.y - data.x)[telling])
        remaining.append(np.abs(data.y - matched)[telling])
        level = np.maximum(np.minimum(data.x, data.y) + _CURVE, 0.1)
        texture.append((np.maximum(data.spread, data.other) / level)[telling])
    rough = np.concatenate(texture)
    if len(rough) < _FEWEST:
        return False
    flat = rough <= np.quantile(rough, max(_FLATTEST, _FEWEST / len(rough)))
    before, after = (float(np.median(np.concatenate(each)[flat])) for each in (without, remaining))
    return after < _REMAINS * before


def _plain(means: _Means) -> Tone:
    channels = means.mean.shape[2]
    return Tone((1.0,) * channels, (0.0,) * channels)
