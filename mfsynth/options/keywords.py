"""The options as keyword arguments of Python functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from operator import index
from typing import Any, TypedDict, TypeVar, Unpack, cast

from mfsynth.coco.orientation import Orientation
from mfsynth.coco.split import Masks
from mfsynth.errors import OptionsError
from mfsynth.options.build import BuildOptions, Depth
from mfsynth.options.presets import Preset, with_preset
from mfsynth.options.selection import Selection
from mfsynth.order import whole_number
from mfsynth.recipe import Boundary, Fill, Kernel, Light, NoiseModel, Order
from mfsynth.synthesis.draw import Capture

Options = TypeVar("Options", bound="ContentOptions")


class ContentOptions(TypedDict, total=False):
    """What decides the scenes, apart from split and seed, as keyword arguments of Python functions.

    `BuildOptions` says what each means. Numbers may be of any numeric type; `images` are the ids to take, or
    a Selection; `preset` names a set of values, `paper` or `realistic`; options that are given override it.
    """

    masks: Masks
    sigma: tuple[float, float]
    noise: tuple[float, float]
    min_area: float
    licenses: Iterable[int]
    images: Iterable[int] | Selection | None
    limit: int
    orientation: Orientation
    preset: Preset
    frames: int
    planes: int
    order: Order
    depth: Depth
    kernel: Kernel
    radius: tuple[float, float]
    boundary: Boundary
    fill: Fill
    light: Light
    noise_model: NoiseModel
    capture: Capture
    breathing: float
    min_sharpness: float


def content_options(split: str, seed: int = 0, **content: Unpack[ContentOptions]) -> BuildOptions:
    """The options that a Python function was called with; those that are not given take their defaults.

    Raises:
        OptionsError: If there is no such option, or its value makes no sense.
    """
    check_names(content, ContentOptions)
    values: dict[str, Any] = {**content, "seed": seed}
    preset: Preset = values.pop("preset", "paper")
    for name in values.keys() & _COERCIONS.keys():
        values[name] = _COERCIONS[name](name, values[name])
    return with_preset(preset, split, values)


def with_depth(content: Options, depth_maps: object) -> Options:
    """Keyword arguments, with `depth="near"` if there are depth maps and `depth` is not given."""
    if depth_maps is None or "depth" in content:
        return content
    with_it: Any = {**content, "depth": "near"}
    return cast("Options", with_it)


def check_names(given: Iterable[str], options: type) -> None:
    """Check the names of keyword arguments against a TypedDict's.

    Raises:
        OptionsError: If one is unknown.
    """
    names = list(options.__annotations__)
    for unknown in set(given) - set(names):
        near = get_close_matches(unknown, names, n=1)
        guess = f"did you mean {near[0]}? " if near else ""
        raise OptionsError(f"there is no option {unknown!r}", f"{guess}The options are {', '.join(names)}")


def _bounds(name: str, value: tuple[float, float]) -> tuple[float, float]:
    try:
        low, high = value
        return float(low), float(high)
    except (TypeError, ValueError) as error:
        raise OptionsError(f"{name} is {value!r}, it must be two numbers, smallest and largest") from error


def _number(name: str, value: float) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise OptionsError(f"{name} is {value!r}, it must be a number") from error


def _ids(name: str, value: Iterable[int]) -> tuple[int, ...]:
    try:
        return tuple(sorted(set(map(index, value))))
    except TypeError as error:
        raise OptionsError(f"{name} is {value!r}, it must be a sequence of ids") from error


def _selection(name: str, images: Iterable[int] | Selection | None) -> Selection:
    if images is None or isinstance(images, Selection):
        return images or Selection()
    take = _ids(name, images)
    if not take:
        raise OptionsError(f"{name} is empty", "None takes all")
    return Selection(take)


_COERCIONS: dict[str, Callable[[str, Any], Any]] = {
    "seed": whole_number,
    "sigma": _bounds,
    "noise": _bounds,
    "radius": _bounds,
    "breathing": _number,
    "min_sharpness": _number,
    "min_area": _number,
    "frames": whole_number,
    "planes": whole_number,
    "licenses": _ids,
    "images": _selection,
    "limit": whole_number,
}
