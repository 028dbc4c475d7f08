"""The contact sheet: a block for each stack, a column for each method, with its maps below its picture."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING

import cv2

from mfsynth.preview.colors import color_map, dark_color
from mfsynth.preview.kit.sheet import INK, Block, Cell, draw_sheet
from zoo.errors import ZooError
from zoo.evaluation.report.maps import decision_words, error_map, error_words

if TYPE_CHECKING:
    from zoo.evaluation.scores import Exhibit

WIDTH = 180
"""Of a picture on the sheet, in pixels."""
_LONGEST_SIDE = 16383  # of a WebP
_QUALITY = 90


def write_sheet(exhibits: Iterable[Exhibit]) -> bytes:
    """The sheet as WebP.

    Each stack has the frames and each method's picture in a row; below that are its decision map and error
    map; the focus map and the truth are below the frames if they are known. One exhibit is held at a
    time, and of the sheet some 5 MB for each stack of fourteen methods; a sheet of more than thirty stacks or
    so, longer than a WebP can be, is made smaller.

    Args:
        exhibits: The stacks, taken one by one.

    Raises:
        ZooError: If there are none.
        MissingExtraError: If matplotlib, whose font is used, or Pillow is not installed.
    """
    first = next(remaining := iter(exhibits), None)
    if first is None:
        raise ZooError("there is no stack to draw", "evaluate at least one stack")
    sheet = draw_sheet((_block(exhibit) for exhibit in chain([first], remaining)), WIDTH)
    scale = _LONGEST_SIDE / max(sheet.shape)
    if scale < 1:
        sheet = cv2.resize(sheet, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    encoded, data = cv2.imencode(".webp", sheet[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, _QUALITY])
    if not encoded:
        raise RuntimeError("OpenCV cannot write WebP")
    return data.tobytes()


def _block(exhibit: Exhibit) -> Block:
    return Block(list(_rows(exhibit)), exhibit.image)


def _rows(exhibit: Exhibit) -> Iterator[list[Cell]]:
    """On the left what was given, in as few columns as hold it; then a column for each method."""
    methods = list(exhibit.fused)
    burst = len(exhibit.frames) > 2
    frames = [
        Cell(frame, f"frame {k}", dark_color(k) if burst else INK) for k, frame in enumerate(exhibit.frames)
    ]
    columns = math.ceil((len(frames) + 4) / 3)  # rows two and three begin with words and end with the truth
    yield [*frames[:columns], *(Cell(exhibit.fused[name], name) for name in methods)]
    rest = [*frames[columns:], *[Cell()] * (2 * columns)]
    mapped = bool(exhibit.decisions) or exhibit.focus is not None
    if mapped or len(frames) > columns:
        words = Cell(None, f"decision maps: {decision_words(exhibit)}") if mapped else Cell()
        focus = Cell() if exhibit.focus is None else Cell(color_map(exhibit.focus), "right decision")
        maps = [exhibit.decisions.get(name) for name in methods]
        decided = (Cell() if each is None else Cell(color_map(each)) for each in maps)
        yield [words, *rest[: columns - 2], focus, *decided]
    words = Cell(None, f"error maps: {error_words(exhibit)}")
    truth = Cell() if exhibit.truth is None else Cell(exhibit.truth, "ground truth")
    errors = (Cell(error_map(exhibit, exhibit.fused[name])) for name in methods)
    yield [words, *rest[columns - 2 : 2 * (columns - 2)], truth, *errors]
