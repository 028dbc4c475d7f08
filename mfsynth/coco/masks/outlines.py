"""The outline of an instance as runs, however it is written: polygons by pycocotools, RLE by our own code."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from mfsynth import limits, schema
from mfsynth.coco.masks.rle import read_runs
from mfsynth.coco.words import OddRecord, quoted
from mfsynth.errors import SourceError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mfsynth.coco.masks.rle import Runs

    Polygon = NDArray[np.float64]
    """x and y of its points in turn, in pixels."""

_BEGINS_WELL = re.compile(rb"\s*(\{|\[\s*\[\s*([^][,{}]+,){5})")
_FAR = 1 << 24


def has_outline(segmentation: msgspec.Raw) -> bool:
    """Whether an annotation's `segmentation` is more than nothing, a box or a line.

    One that cannot be read counts as an outline, too: `outline_runs` says what is wrong with it.
    """
    if _BEGINS_WELL.match(segmentation):
        return True
    try:
        shape = _decode(segmentation)
        return isinstance(shape, dict) or bool(polygons(shape))
    except OddRecord:
        return True


def outline_runs(segmentation: msgspec.Raw, height: int, width: int) -> Runs:
    """The pixels inside an outline of a picture.

    Raises:
        OddRecord: If it cannot be understood, or does not fit the picture.
    """
    from pycocotools import mask

    shape = _decode(segmentation)
    if isinstance(shape, dict):
        return read_runs(shape, height, width)
    parts = [polygon.tolist() for polygon in polygons(shape)]
    if not parts:
        return np.zeros(0, np.int64)
    merged = mask.merge(mask.frPyObjects(parts, height, width))
    return read_runs({"size": [height, width], "counts": merged["counts"].decode()}, height, width)


def polygons(shape: object) -> list[Polygon]:
    """The polygons of an outline: a list of flat lists, one flat list, or points in pairs in either's place.

    Those of fewer than three points enclose nothing and are not returned.

    Raises:
        OddRecord: If it is something else, or a polygon is longer than `limits.OUTLINE_PIXELS`.
    """
    if shape is None or shape == "":
        return []
    if not isinstance(shape, list):
        raise OddRecord(f"its outline is {quoted(shape)}, neither polygons nor RLE")
    single = bool(shape) and (_all(shape, _is_number) or _all(shape, _is_point))
    found = [_polygon(each) for each in ([shape] if single else shape)]
    return [polygon for polygon in found if polygon.size >= 6]


def _polygon(points: object) -> Polygon:
    if isinstance(points, list) and _all(points, _is_point):
        points = [number for point in points for number in point]
    if not isinstance(points, list) or not _all(points, _is_number):
        raise OddRecord(f"its outline holds {quoted(points)}, not the x and y of points")
    if len(points) % 2:
        raise OddRecord(f"its outline holds an odd number of coordinates, {len(points)}")
    if any(abs(number) > _FAR for number in points):
        raise OddRecord(f"its outline reaches {quoted(max(points, key=abs))}, far outside any picture")
    polygon = np.array(points, np.float64)
    steps = np.abs(np.diff(polygon.reshape(-1, 2), axis=0, append=polygon[None, :2])) if points else polygon
    if points and steps.max(axis=1).sum() > limits.OUTLINE_PIXELS:
        raise OddRecord(f"its outline is longer than {limits.OUTLINE_PIXELS:,} pixels")
    return polygon


def _all(values: list[Any], rule: Any) -> bool:
    return all(map(rule, values))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_point(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and _all(value, _is_number)


def _decode(segmentation: msgspec.Raw) -> object:
    if not memoryview(segmentation):  # the record has no `segmentation`
        return None
    try:
        return schema.decode(bytes(segmentation), object, "its outline", error=SourceError)
    except SourceError as error:
        raise OddRecord(str(error)) from error
