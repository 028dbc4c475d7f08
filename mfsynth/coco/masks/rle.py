"""COCO's run-length encoding: a mask as the lengths of runs down its columns, background first.

Everything is checked here: pycocotools trusts run lengths, and returns unset memory where they end early.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mfsynth.coco.words import OddRecord, quoted, whole

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Runs = NDArray[np.int64]
    """Lengths of runs down the columns, background and foreground in turn; the rest is background."""

_FIRST, _LAST = ord("0"), ord("0") + 63
_MAX_LETTERS = 7  # of a number; seven of five bits each hold every length that pycocotools writes


def read_runs(shape: dict[str, Any], height: int, width: int) -> Runs:
    """The runs of an RLE as COCO writes it: `{"size": [height, width], "counts": [...] or "..."}`.

    Raises:
        OddRecord: If it is of another size, or its counts are not run lengths or cover more than the picture.
    """
    size = shape.get("size")
    sides = [whole(side) for side in size] if isinstance(size, list) else []
    if len(sides) != 2 or None in sides:
        raise OddRecord(f"its RLE has the size {quoted(size)}, not [height, width]")
    if sides != [height, width]:
        raise OtherSize(f"its RLE has the size {quoted(size)}, the picture [{height}, {width}]")
    counts = shape.get("counts")
    if isinstance(counts, list):
        lengths = _listed(counts)
        _check(min(lengths, default=0), sum(lengths), height * width)
        return np.array(lengths, np.int64)
    if not isinstance(counts, str):
        raise OddRecord(f"its RLE has the counts {quoted(counts)}, neither a list nor text")
    runs = _compressed(counts)
    _check(int(runs.min(initial=0)), int(runs.sum()), height * width)
    return runs


class OtherSize(OddRecord):
    """An RLE of another size than the picture's."""


def area(runs: Runs) -> int:
    """Number of foreground pixels."""
    return int(runs[1::2].sum())


def paint(runs: Runs, value: int, columns: NDArray[np.uint16]) -> None:
    """Set the foreground to a value.

    Args:
        runs: Lengths that fit the picture.
        value: What to set.
        columns: The picture's pixels, column by column; changed in place.
    """
    inner = runs[1 : len(runs) // 2 * 2]  # from the first foreground run to the last
    start, length = int(runs[:1].sum()), int(inner.sum())
    inside = np.repeat(np.arange(len(inner)) % 2 == 0, inner)
    columns[start : start + length][inside] = value


def _check(least: int, total: int, pixels: int) -> None:
    if least < 0:
        raise OddRecord(f"its RLE counts hold the negative length {quoted(least)}")
    if total > pixels:
        raise OddRecord(f"its RLE counts run over: {quoted(total)} pixels, the picture has {pixels}")


def _listed(counts: list[Any]) -> list[int]:
    lengths = []
    for count in counts:
        length = None if isinstance(count, str) else whole(count)
        if length is None:
            raise OddRecord(f"its RLE counts hold {quoted(count)}, not a length")
        lengths.append(length)
    return lengths


def _compressed(text: str) -> Runs:
    """The runs in COCO's compressed text: five bits a letter, and from the fourth run on differences."""
    letters = np.frombuffer(text.encode("utf-32-le"), "<u4").astype(np.int64)
    if letters.size == 0:
        return letters
    if letters.min() < _FIRST or letters.max() > _LAST:
        raise OddRecord(
            "its RLE counts are not compressed run lengths: they hold a character that RLE does not use"
        )
    bits = letters - _FIRST
    ends = np.flatnonzero(bits < 32)  # the sixth bit says that the number goes on
    starts = np.concatenate([[0], ends[:-1] + 1])
    if not ends.size or ends[-1] != len(bits) - 1 or (ends - starts).max() >= _MAX_LETTERS:
        raise OddRecord("its RLE counts are not compressed run lengths: a number is cut short or too long")
    place = np.arange(len(bits)) - np.repeat(starts, ends - starts + 1)
    numbers = np.add.reduceat((bits & 31) << 5 * place, starts)
    numbers -= np.where(bits[ends] & 16, np.int64(1) << 5 * (ends - starts + 1), 0)  # the fifth bit is a sign
    numbers[1::2] = numbers[1::2].cumsum()
    numbers[2::2] = numbers[2::2].cumsum()
    return numbers
