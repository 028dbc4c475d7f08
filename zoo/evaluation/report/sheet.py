"""The contact sheet: for each pair a block, a column for each method, below its picture what it did."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from mfsynth.errors import MissingExtraError
from mfsynth.plots import need_matplotlib
from zoo.errors import ZooError
from zoo.evaluation.report.maps import decision_map, error_map, error_words

if TYPE_CHECKING:
    from mfsynth.sample import Picture
    from zoo.evaluation.scores import Exhibit

WIDTH = 180
"""Of a picture on the sheet, in pixels."""

# All in pixels.
_TALLEST = 240
_MARGIN, _GAP, _CAPTION, _HEAD, _BLOCK_GAP = 14, 4, 24, 18, 22
_NAME_SIZE, _TYPE = 15, 12
_LONGEST_SIDE = 16383  # of a WebP
_QUALITY = 90
_INK, _QUIET, _HAIRLINE, _PAPER = (26, 26, 26), (85, 85, 85), (208, 208, 208), 255


@dataclass(frozen=True, slots=True)
class _Cell:
    """A picture of a block, and the words above it or, where there is no picture, in its place."""

    picture: Picture | None
    words: str = ""


@dataclass(frozen=True, slots=True)
class _Label:
    """Text from its upper left corner on, in a width that it is cut or wrapped to."""

    left: int
    top: int
    text: str
    width: int
    size: int = _TYPE
    colour: tuple[int, int, int] = _INK
    wraps: bool = False


def write_sheet(exhibits: Iterable[Exhibit]) -> bytes:
    """The sheet as WebP.

    Each pair has the frames and each method's picture in a row, below these its decision map and its error
    map; the focus map and the truth stand below the frames where they are known. Pictures are 180 pixels
    wide. One exhibit is held at a time, and of the sheet some 5 MB for each pair of fourteen methods; a sheet
    of more than thirty pairs or so, longer than a WebP can be, is made smaller.

    Args:
        exhibits: The pairs, taken one by one.

    Raises:
        ZooError: If there are none.
        MissingExtraError: If matplotlib, whose font is used, or Pillow is not installed.
    """
    blocks = [_block(exhibit) for exhibit in exhibits]
    if not blocks:
        raise ZooError("there is no pair to draw", "evaluate one pair at least")
    sheet = _stack(blocks)
    scale = _LONGEST_SIDE / max(sheet.shape)
    if scale < 1:
        sheet = cv2.resize(sheet, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    encoded, data = cv2.imencode(".webp", sheet[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, _QUALITY])
    if not encoded:
        raise RuntimeError("OpenCV cannot write WebP")
    return data.tobytes()


def _stack(blocks: list[Picture]) -> Picture:
    """Blocks below one another on paper as wide as the widest."""
    height = sum(block.shape[0] + _BLOCK_GAP for block in blocks) - _BLOCK_GAP + 2 * _MARGIN
    width = max(block.shape[1] for block in blocks) + 2 * _MARGIN
    sheet = np.full((height, width, 3), _PAPER, np.uint8)
    top = _MARGIN
    for block in blocks:
        sheet[top : top + block.shape[0], _MARGIN : _MARGIN + block.shape[1]] = block
        top += block.shape[0] + _BLOCK_GAP
    return sheet


def _block(exhibit: Exhibit) -> Picture:
    """A pair: its name, then rows of pictures with words above them."""
    rows = _rows(exhibit)
    height, width = exhibit.frames[0].shape[:2]
    scale = min(WIDTH / width, _TALLEST / height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    heads = [_HEAD if any(cell.words and cell.picture is not None for cell in cells) else 0 for cells in rows]
    tall = _CAPTION + sum(heads) + len(rows) * (size[1] + _GAP) - _GAP
    block = np.full((tall, len(rows[0]) * (WIDTH + _GAP) - _GAP, 3), _PAPER, np.uint8)
    labels = [_Label(0, 0, exhibit.image, block.shape[1], size=_NAME_SIZE)]
    top = _CAPTION
    for head, cells in zip(heads, rows, strict=True):
        for column, cell in enumerate(cells):
            left = column * (WIDTH + _GAP)
            if cell.picture is None:
                labels.append(_Label(left, top + head, cell.words, WIDTH, colour=_QUIET, wraps=True))
            else:
                labels.append(_Label(left, top, cell.words, WIDTH))
                _paste(block, cell.picture, left, top + head, size)
        top += head + size[1] + _GAP
    return _written(block, labels)


def _rows(exhibit: Exhibit) -> list[list[_Cell]]:
    """A block's cells: two columns for what was given, one for each method."""
    methods = list(exhibit.fused)
    blank = _Cell(None)
    rows = [
        [
            *(_Cell(frame, f"frame {k}") for k, frame in enumerate(exhibit.frames)),
            *(_Cell(exhibit.fused[name], name) for name in methods),
        ]
    ]
    if exhibit.decisions or exhibit.focus is not None:
        given = blank if exhibit.focus is None else _Cell(decision_map(exhibit.focus), "focus map")
        maps = [exhibit.decisions.get(name) for name in methods]
        told = _Cell(None, "decision maps: taken from frame 0 (blue), frame 1 (orange)")
        rows.append([told, given, *(blank if each is None else _Cell(decision_map(each)) for each in maps)])
    given = blank if exhibit.truth is None else _Cell(exhibit.truth, "ground truth")
    told = _Cell(None, f"error maps: {error_words(exhibit)}")
    rows.append([told, given, *(_Cell(error_map(exhibit, exhibit.fused[name])) for name in methods)])
    return rows


def _paste(block: Picture, picture: Picture, left: int, top: int, size: tuple[int, int]) -> None:
    shrinks = size[0] < picture.shape[1]
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    left += (WIDTH - size[0]) // 2
    block[top : top + size[1], left : left + size[0]] = small
    cv2.rectangle(block, (left, top), (left + size[0] - 1, top + size[1] - 1), _HAIRLINE)


def _written(block: Picture, labels: list[_Label]) -> Picture:
    """The block with labels on it.

    Raises:
        MissingExtraError: If matplotlib, whose font is used, or Pillow is not installed.
    """
    need_matplotlib()
    try:
        from PIL import Image, ImageDraw, ImageFont
    except ImportError as error:
        raise MissingExtraError("pillow", "evaluate") from error
    import matplotlib

    file = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    paper = Image.fromarray(block)
    draw = ImageDraw.Draw(paper)
    for label in labels:
        font = ImageFont.truetype(file, label.size)
        set_text = _wrapped if label.wraps else _cut
        text = set_text(" ".join(label.text.split()), label.width, font.getlength)
        draw.multiline_text((label.left, label.top), text, fill=label.colour, font=font, spacing=2)
    return np.array(paper)


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
