"""What is counted of a data set's recipes, by the options that it was built with."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from mfsynth.errors import ShardError
from mfsynth.preview.colors import focus_shares, sharp_segments
from mfsynth.preview.words import shot_deviation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mfsynth.options import BuildOptions
    from mfsynth.sample import Optics, Recipe, Shot


class Quantity(NamedTuple):
    """A number that each sample, frame or segment has: its name in JSON, its title and unit, how to get it.

    `each` names what has one: a sample, a frame or a segment. `whole` says that it is a whole number.
    """

    name: str
    title: str
    unit: str
    of: Callable[[Recipe], Iterable[float]]
    whole: bool = False
    each: str = "sample"


def quantities_of(options: BuildOptions) -> tuple[Quantity, ...]:
    """What varies in a data set, in the order of tables and drawings. Void counts as a segment."""
    return (*_blur(options), *_focus(options), *_optics(options), *_IMAGE)


def _blur(options: BuildOptions) -> Iterator[Quantity]:
    if options.kernel == "gaussian":
        yield _one("sigma", "blur sigma", "px", lambda recipe: recipe.blur.sigma)
    else:
        yield _one("radius", "blur radius", "px", lambda recipe: _of(recipe).radius)
    if options.kernel == "polygon":
        yield _one("blades", "corners of the aperture", "count", lambda recipe: _of(recipe).blades, True)


def _focus(options: BuildOptions) -> Iterator[Quantity]:
    if options.frames == 2:
        yield _one(
            "focus_share", "in focus in frame 1", "fraction of area", lambda recipe: focus_shares(recipe)[1]
        )
    else:
        yield Quantity(
            "frame_share", "in focus in each frame", "fraction of area", focus_shares, each="frame"
        )
        yield _one("frames_in_focus", "frames with something in focus", "count", _frames_in_focus, True)
    if options.draw.optical and options.noise_model == "poisson-gaussian":
        yield _one("shot_noise", "shot noise at white", "% of range", lambda r: 100 * shot_deviation(_of(r)))
        yield _one("read_noise", "read noise", "% of range", lambda recipe: 100 * _of(recipe).read_noise)
    else:
        yield _one(
            "noise_sigma", "noise sigma", "fraction of range", lambda recipe: recipe.frames[0].noise_sigma
        )
    yield _one("segments", "segments of the image", "count", lambda recipe: len(recipe.segments), True)
    if options.frames == 2:
        yield _one("chosen", "segments sharp in frame 1", "count", lambda r: sharp_segments(r, 1), True)
    if options.depth == "none":
        tried = "cuts tried" if options.order == "layout" else "subsets tried"
        yield _one("tries", tried, "count", lambda recipe: recipe.tries, True)


def _optics(options: BuildOptions) -> Iterator[Quantity]:
    if not options.draw.optical:
        return
    yield Quantity(
        "sharpness", "sharpness of segments", "gray levels",
        lambda recipe: [each.sharpness for each in _of(recipe).segments], each="segment",
    )  # fmt: skip
    if options.min_sharpness:
        yield _one("joined", "segments joined to others", "count", _joined, True)
    if options.capture == "camera":
        yield _shots("quality", "JPEG quality, 0 for none", "of 100", lambda shot: shot.quality, True)
    if options.breathing:
        yield _shots("scale", "change of scale", "%", lambda shot: 100 * (shot.scale - 1))
        yield _shots("shift", "shift", "px", lambda shot: math.hypot(shot.shift_x, shot.shift_y))
        yield _shots("rotation", "rotation", "degrees", lambda shot: math.degrees(shot.rotation))
        yield _shots("exposure", "exposure", "stops", lambda shot: shot.exposure)


def _one(name: str, title: str, unit: str, of: Callable[[Recipe], float], whole: bool = False) -> Quantity:
    """A quantity of which each sample has one."""
    return Quantity(name, title, unit, lambda recipe: (of(recipe),), whole)


def _shots(name: str, title: str, unit: str, of: Callable[[Shot], float], whole: bool = False) -> Quantity:
    """A quantity of which each frame has one."""
    return Quantity(name, title, unit, lambda recipe: map(of, _of(recipe).frames), whole, "frame")


def _of(recipe: Recipe) -> Optics:
    """The optics of a recipe, which the options of its data set give it.

    Raises:
        ShardError: If it has none.
    """
    if recipe.optics is None:
        raise ShardError(
            f"sample {recipe.key}: its recipe has format 1, the manifest's options give format 2"
        )
    return recipe.optics


def _frames_in_focus(recipe: Recipe) -> int:
    return sum(share > 0 for share in focus_shares(recipe))


def _joined(recipe: Recipe) -> int:
    return sum(each.group != index for index, each in enumerate(_of(recipe).segments))


_IMAGE = (
    _one("width", "image width", "px", lambda recipe: recipe.image.width, True),
    _one("height", "image height", "px", lambda recipe: recipe.image.height, True),
    _one("megapixels", "image size", "megapixels", lambda r: r.image.width * r.image.height / 1e6),
)
