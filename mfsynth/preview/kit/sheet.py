"""Contact sheets: blocks of labeled pictures in rows, drawn pixel by pixel so that nothing is blurred twice.

Lengths are shares of a picture's width, so that a sheet looks the same at any resolution.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from mfsynth.errors import MissingExtraError
from mfsynth.plots import need_matplotlib

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mfsynth.sample import Picture

    Color = tuple[int, int, int]

INK: Color = (26, 26, 26)
QUIET: Color = (85, 85, 85)
_HAIRLINE: Color = (208, 208, 208)
_MARGIN, _GAP, _TITLE_ROOM, _HEAD_ROOM, _BLOCK_GAP = 0.078, 0.022, 0.133, 0.1, 0.122
_TITLE, _TYPE = 0.083, 0.067
_REGULAR, _BOLD = "DejaVuSans.ttf", "DejaVuSans-Bold.ttf"


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """A place in a row.

    Attributes:
        picture: H x W x 3, RGB, uint8; None leaves the place to the words.
        words: Above the picture, or in its place.
        color: Of the words, RGB.
    """

    picture: Picture | None = None
    words: str = ""
    color: Color = INK


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Rows of cells that belong together; their pictures have one size.

    Attributes:
        rows: Of equal length.
        title: Above them; empty for none.
        note: Beside the title.
    """

    rows: Sequence[Sequence[Cell]]
    title: str = ""
    note: str = ""


def draw_sheet(blocks: Iterable[Block], width: int) -> Picture:
    """Blocks below one another on white, H x W x 3 uint8 RGB.

    Args:
        blocks: One or more, taken one by one; only one at a time is in memory besides the sheet.
        width: Of a picture, in pixels; taller ones are reduced to that height.

    Raises:
        MissingExtraError: If matplotlib, whose font is used, or Pillow is not installed.
    """
    _need_fonts()
    drawn = [_draw_block(block, width) for block in blocks]
    margin, gap = round(_MARGIN * width), round(_BLOCK_GAP * width)
    height = sum(block.shape[0] + gap for block in drawn) - gap + 2 * margin
    sheet = np.full((height, max(block.shape[1] for block in drawn) + 2 * margin, 3), 255, np.uint8)
    top = margin
    for block in drawn:
        sheet[top : top + block.shape[0], margin : margin + block.shape[1]] = block
        top += block.shape[0] + gap
    return sheet


def encode_sheet(sheet: Picture, dpi: float) -> bytes:
    """A sheet as PNG that records its size in print."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(sheet).save(buffer, "png", dpi=(dpi, dpi))
    return buffer.getvalue()


def _draw_block(block: Block, width: int) -> Picture:
    size = _fitted(block, width)
    gap, title, head = (round(share * width) for share in (_GAP, _TITLE_ROOM, _HEAD_ROOM))
    heads = [
        head if any(cell.words and cell.picture is not None for cell in row) else 0 for row in block.rows
    ]
    top = title if block.title else 0
    height = top + sum(heads) + len(heads) * (size[1] + gap) - gap
    paper = np.full((height, len(block.rows[0]) * (width + gap) - gap, 3), 255, np.uint8)
    pen = _Pen(paper, width)
    for room, row in zip(heads, block.rows, strict=True):
        for column, cell in enumerate(row):
            _draw_cell(pen, cell, column * (width + gap), top, room, size)
        top += room + size[1] + gap
    if block.title:
        pen.write_title(block.title, block.note)
    return pen.finish()


def _fitted(block: Block, width: int) -> tuple[int, int]:
    """The width and height at which the block's pictures are drawn."""
    pictures = [cell.picture for row in block.rows for cell in row if cell.picture is not None]
    rows, columns = pictures[0].shape[:2]
    scale = width / max(rows, columns)
    return max(1, round(columns * scale)), max(1, round(rows * scale))


def _draw_cell(pen: _Pen, cell: Cell, left: int, top: int, room: int, size: tuple[int, int]) -> None:
    if cell.picture is None:
        pen.write_lines(cell.words, left, top + room)
        return
    pen.write_line(cell.words, left, top, cell.color)
    shrinks = size[0] < cell.picture.shape[1]
    small = cv2.resize(cell.picture, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    left, top = left + (pen.width - size[0]) // 2, top + room
    pen.paper[top : top + size[1], left : left + size[0]] = small
    cv2.rectangle(pen.paper, (left, top), (left + size[0] - 1, top + size[1] - 1), _HAIRLINE)


class _Pen:
    """Writes on a block; texts are kept until the pictures are in place."""

    def __init__(self, paper: Picture, width: int) -> None:
        self.paper, self.width = paper, width
        self._texts: list[tuple[int, int, str, Any, Color]] = []
        self._font = _font(_REGULAR, max(1, round(_TYPE * width)))

    def write_line(self, text: str, left: int, top: int, color: Color) -> None:
        """A line in a column, cut where the column ends."""
        self._put(left, top, _cut(_tidy(text), self.width, self._font.getlength), self._font, color)

    def write_lines(self, text: str, left: int, top: int) -> None:
        """Lines in a column, in a quiet color."""
        self._put(left, top, _wrapped(_tidy(text), self.width, self._font.getlength), self._font, QUIET)

    def write_title(self, title: str, note: str) -> None:
        """The block's first line."""
        bold = _font(_BOLD, max(1, round(_TITLE * self.width)))
        title = _cut(_tidy(title), self.paper.shape[1], bold.getlength)
        self._put(0, 0, title, bold, INK)
        left = round(bold.getlength(title) + _TITLE * self.width)
        note = _cut(_tidy(note), self.paper.shape[1] - left, self._font.getlength)
        self._put(left, round((_TITLE - _TYPE) * self.width), note, self._font, QUIET)

    def finish(self) -> Picture:
        """The block with its texts."""
        from PIL import Image, ImageDraw

        image = Image.fromarray(self.paper)
        draw = ImageDraw.Draw(image)
        for left, top, text, font, color in self._texts:
            draw.multiline_text((left, top), text, fill=color, font=font, spacing=2)
        return np.array(image)

    def _put(self, left: int, top: int, text: str, font: Any, color: Color) -> None:
        self._texts.append((left, top, text, font, color))


def _need_fonts() -> None:
    need_matplotlib()
    try:
        import PIL  # noqa: F401 - imported where it draws
    except ImportError as error:
        raise MissingExtraError("pillow", "preview") from error


@cache
def _font(name: str, size: int) -> Any:
    import matplotlib
    from PIL import ImageFont

    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name, size)


def _tidy(text: str) -> str:
    """A text on one line."""
    return " ".join(text.split())


def _cut(text: str, width: int, measured: Callable[[str], float]) -> str:
    """The text, or its beginning with an ellipsis where it is too long.

    >>> _cut("Lytro, 20 pairs", 6, len)
    'Lytro…'
    """
    if measured(text) <= width:
        return text
    while text and measured(f"{text}…") > width:
        text = text[:-1]
    return f"{text}…"


def _wrapped(text: str, width: int, measured: Callable[[str], float]) -> str:
    """The text in lines of a width; words that are longer stay whole.

    >>> _wrapped("lost and added", 8, len)
    'lost and\\nadded'
    """
    lines: list[str] = []
    for word in text.split():
        if lines and measured(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return "\n".join(lines)
