"""From a panoptic PNG with its JSON, or from instances by pycocotools, to a segment map.

Segments with at least one pixel are numbered by ascending COCO id, void (id 0) first.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Annotated

import cv2
import msgspec
import numpy as np

from mfsynth.coco import exclusions
from mfsynth.coco.masks import rle
from mfsynth.coco.masks.outlines import outline_runs
from mfsynth.coco.words import OddRecord
from mfsynth.codecs import CodecError, decode_ids, png_header
from mfsynth.console import some
from mfsynth.errors import UnusableImage
from mfsynth.sample import SegmentInfo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mfsynth.coco.masks.rle import Runs
    from mfsynth.sample import SegmentMap

_ID_COUNT = 1 << 24

Whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""What JSON of a recipe can hold."""


class ListedSegment(msgspec.Struct, frozen=True, order=True, gc=False):
    """A segment as the annotations list it; those without a category have 0."""

    id: int
    category_id: Whole = 0
    iscrowd: Whole | bool = 0
    area: float | None = None


VOID = ListedSegment(0)


class Instance(msgspec.Struct, frozen=True, gc=False):
    """An instance as COCO lists it; `segmentation` is polygons or RLE, still as JSON, empty if missing."""

    image_id: int
    id: int = 0
    category_id: Whole = 0
    segmentation: msgspec.Raw = msgspec.Raw()
    area: float | None = None
    iscrowd: Whole | bool = 0


def panoptic_segments(
    png: bytes, listed: Sequence[ListedSegment], size: tuple[int, int]
) -> tuple[SegmentMap, tuple[SegmentInfo, ...]]:
    """The segment map of a panoptic PNG.

    Args:
        png: The mask's bytes.
        listed: Its segments as the annotations list them.
        size: Height and width that the annotations give.

    Raises:
        UnusableImage: If the mask is broken or of another size, or its ids are not those of the annotations.
    """
    try:
        height, width = png_header(png).size
        if (height, width) != size:  # before anything of that size is decoded
            raise UnusableImage(
                exclusions.SIZE, f"the mask is {width} x {height}, the annotations say {size[1]} x {size[0]}"
            )
        ids = decode_ids(png, size, [segment.id for segment in listed])
    except CodecError as error:
        raise UnusableImage(exclusions.MASK_BROKEN, str(error)) from error
    ordered = sorted(listed)
    indices = _look_up(ids, ordered)
    counts = _pixel_counts(indices, len(ordered) + 1)
    _check_ids(ids, counts, ordered)
    if counts[0] == 0:
        return _narrow(indices - indices.dtype.type(1), len(ordered)), _infos(ordered, counts[1:])
    return _narrow(indices, len(ordered) + 1), _infos([VOID, *ordered], counts)


def _narrow(indices: SegmentMap, segments: int) -> SegmentMap:
    """The map in 8 bits, if 8 bits suffice for that many segments."""
    return indices.astype(np.uint8, copy=False) if segments <= 256 else indices


def _look_up(ids: NDArray[np.uint32], ordered: Sequence[ListedSegment]) -> SegmentMap:
    """Each pixel's position in the list of segments, from 1; 0 for void, the largest value for an unknown id.

    A table of all 2^24 ids, kept between calls, takes a third of the time of a search among the sorted ids.
    """
    table = _id_table(len(ordered) < 255)
    keys = [segment.id for segment in ordered]
    table[keys] = np.arange(1, len(keys) + 1, dtype=table.dtype)
    indices = table.take(ids)
    table[keys] = np.iinfo(table.dtype).max
    return indices


@cache
def _id_table(small: bool) -> SegmentMap:
    table = np.full(_ID_COUNT, 255, np.uint8) if small else np.full(_ID_COUNT, 65535, np.uint16)
    table[0] = 0
    return table


def _pixel_counts(indices: SegmentMap, known: int) -> list[int]:
    """Number of pixels of each index below `known`, then of the value that stands for unknown ids."""
    if indices.dtype == np.uint8 and indices.size < 1 << 24:  # calcHist counts in float32, exact below 2^24
        counts = cv2.calcHist([indices], [0], None, [256], [0, 256]).ravel().astype(np.int64)
    else:
        counts = np.bincount(indices.ravel(), minlength=1 << 8 * indices.itemsize)
    return [*counts[:known].tolist(), int(counts[-1])]


def _check_ids(ids: NDArray[np.uint32], counts: list[int], ordered: Sequence[ListedSegment]) -> None:
    if counts.pop():
        unknown = sorted(set(np.unique(ids).tolist()) - {0} - {segment.id for segment in ordered})
        raise UnusableImage(
            exclusions.UNKNOWN_SEGMENT, f"the mask has segment id {some(unknown)}, the annotations do not"
        )
    absent = [segment.id for segment, count in zip(ordered, counts[1:], strict=True) if count == 0]
    if absent:
        raise UnusableImage(
            exclusions.MISSING_SEGMENT, f"the annotations have segment id {some(absent)}, the mask does not"
        )


def _infos(segments: Sequence[ListedSegment], areas: Sequence[int]) -> tuple[SegmentInfo, ...]:
    return tuple(
        SegmentInfo(index, segment.id, segment.category_id, int(segment.iscrowd), area)
        for index, (segment, area) in enumerate(zip(segments, areas, strict=True))
    )


def instance_segments(
    instances: Sequence[Instance], size: tuple[int, int]
) -> tuple[SegmentMap, tuple[SegmentInfo, ...]]:
    """The segment map of an image's instances: crowds at the bottom, smaller on larger; the rest is void.

    Args:
        instances: Polygons or RLE, as in `instances_*.json`.
        size: Height and width of the picture.

    Raises:
        UnusableImage: If an instance's outline cannot be read, or its size is not that of the picture.
    """
    ordered = sorted(instances, key=lambda instance: instance.id)
    runs = [_instance_runs(instance, size) for instance in ordered]
    painted = sorted(
        range(len(ordered)), key=lambda k: (-ordered[k].iscrowd, -rle.area(runs[k]), ordered[k].id)
    )
    columns = np.zeros(size[0] * size[1], np.uint16)
    for k in painted:
        rle.paint(runs[k], k + 1, columns)
    counts = np.bincount(columns, minlength=len(ordered) + 1)
    present = np.flatnonzero(counts)
    numbers = np.zeros(len(counts), np.uint16)
    numbers[present] = np.arange(len(present))
    layers = np.ascontiguousarray(numbers[columns].reshape(size[1], size[0]).T)
    listed = [VOID, *(ListedSegment(i.id, i.category_id, i.iscrowd) for i in ordered)]
    return _narrow(layers, len(present)), _infos([listed[k] for k in present], counts[present].tolist())


def _instance_runs(instance: Instance, size: tuple[int, int]) -> Runs:
    try:
        return outline_runs(instance.segmentation, *size)
    except rle.OtherSize as error:
        raise UnusableImage(exclusions.SIZE, f"instance {instance.id}: {error}") from error
    except OddRecord as error:
        raise UnusableImage(exclusions.BAD_INSTANCE, f"instance {instance.id}: {error}") from error
