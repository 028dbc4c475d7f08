"""The page of a fused stack: flip between frames, result and maps, and magnify them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import cv2
import msgspec
import numpy as np

from mfsynth.console import count, duration, printable
from mfsynth.preview.colors import color_map, css_color
from mfsynth.preview.kit.page import (
    VIEWER,
    Cell,
    Page,
    Pictures,
    Scene,
    Section,
    Switch,
    Table,
    Tables,
    View,
)  # fmt: skip
from zoo.alignment.canvas import onto
from zoo.alignment.similarity import IDENTITY
from zoo.pictures.picture import bit_depth
from zoo.stacks.prepare import prepared
from zoo.stacks.views.maps import depth_of, grayed, in_colors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from mfsynth.sample import Picture
    from zoo.fusing.fuse_layers import Layer
    from zoo.stacks.fuse import FusedStack
    from zoo.stacks.options import FuseOptions
    from zoo.stacks.planning.plan import FramePlan
    from zoo.stacks.report import FrameReport, FusedFile
    from zoo.stacks.stack import Frame, Stack

LARGEST = 1600
"""Of a picture's longer side, in pixels: larger ones are reduced."""
MOST = 32
"""The most frames on a page: an even choice of more."""
_QUALITY, _LOSSLESS = 85, 101  # of WebP, as OpenCV counts
_SEQUENCE = 20  # beyond so many frames, their colors are a sequence
_LEGEND = 12  # the most colors that are named
_DECISION = "colors: the frame that each pixel mostly came from"
_SHOWN = "Frames are shown as they were fused: aligned, and matched in exposure."
_MAPS = (
    "Depth runs from violet, the first frame, to yellow, the last; confidence is white where the decision is"
    " sure. What no frame shows is gray."
)
_HEAD = (
    "frame", "share", "coverage", "gain", "offset", "moved right, down", "scaled", "rotated", "hot pixels",
)  # fmt: skip
_FRAMES = (
    "Share: how much of the result comes from a frame. Coverage: how much of it the frame shows. Gain and"
    " offset: how its exposure was matched. Moves are relative to the first frame that was used."
    " Hot pixels: how many values were repaired."
)
_FOOTER = "Pictures are shown as WebP of quality 85, with 8 bits; the files themselves are not touched."
_EXPOSURE = {"first": "the first frame's", "median": "the median of all", "keep": "each frame its own"}
_KEYS = 9  # frames that have a key


def write_page(
    fused: FusedStack,
    stack: Stack,
    options: FuseOptions,
    report: FusedFile,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> bytes:
    """The page as UTF-8, with every picture inside as a data URI.

    Frames are shown as they took part: aligned and matched. Each is read once more, one after the other.
    16-bit and float data is shown between the plan's black and white.

    Args:
        fused: The stack.
        stack: Its frames.
        options: How it was fused.
        report: What is told of it.
        progress: Called with the number of frames that are done and to do.

    Raises:
        FrameError: If the network chose no frames.
        PictureError: If a frame cannot be read.
    """
    pictures = _Shrunk(fused.image.shape[:2], Pictures())
    chosen = _even_choice(fused.plan.frames, MOST)
    frames = []
    for number, frame in enumerate(chosen):
        frames.append(_frame_view(number, frame, stack.frame(frame.place), fused, options, pictures))
        progress(number + 1, len(chosen))
    colors = _Colors(len(stack.names))
    shown = fused.plan.shown()
    decision = pictures.add_map(grayed(colors.drawn(fused.decision), shown))
    frames = [msgspec.structs.replace(view, overlay=decision) for view in frames]
    views = (*frames, *_result_views(fused, len(stack.names), shown, decision, pictures))
    name = _text(report.output.name)
    scene = Scene(
        name,
        *pictures.size,
        views,
        shown=len(frames),
        facts=tuple(_facts(fused, options, report)),
        notes=(pictures.note, _DECISION, "as the file has it, at half the resolution"),
        json=msgspec.Raw(json.dumps(report.to_json()).encode()),
    )
    changed = any(view.error is not None for view in frames)
    return Page(
        kind="mfsynth fuse",
        title=name,
        subtitle=_subtitle(fused, report),
        sections=tuple(_sections(report, len(chosen))),
        scenes=(scene,),
        pictures=pictures.pictures.uris,
        overlay=Switch("decision", "d"),
        error=Switch("as given", "g") if changed else None,
        problems=tuple(_problems(report)),
        footer=_FOOTER,
        legend=colors.legend,
        slides=len(frames) if len(frames) > 2 else 0,
    ).to_html()


def _text(words: str) -> str:
    """Words as UTF-8 holds them; the bytes of a name can be any."""
    return printable(words).encode(errors="backslashreplace").decode()


def _even_choice(frames: Sequence[FramePlan], most: int) -> list[FramePlan]:
    """All frames, or as many as there is room for, the first and the last among them."""
    places = np.linspace(0, len(frames) - 1, min(most, len(frames))).round().astype(int)
    return [frames[place] for place in places]


def _frame_view(
    number: int, how: FramePlan, frame: Frame, fused: FusedStack, options: FuseOptions, pictures: _Shrunk
) -> View:
    layer = prepared(frame, how, fused.plan, options)
    given, _ = onto(frame, IDENTITY, fused.plan.canvas)
    same = how.move == IDENTITY and how.tone.plain
    return View(
        f"{how.place + 1} · {_text(how.name)}",
        str(number + 1) if number < _KEYS else "",
        pictures.add(_drawn(layer, pictures)),
        error=None if same else pictures.add(_byte(fused.plan.levels.seen(pictures.reduced(given, 0.5)))),
    )


def _result_views(
    fused: FusedStack, frames: int, shown: NDArray[np.bool_], decision: int, pictures: _Shrunk
) -> Iterator[View]:
    shown = pictures.reduced(shown.astype(np.float32)) >= 0.5
    result = _byte(fused.plan.levels.seen(pictures.reduced(fused.image)))
    yield View("result", "r", pictures.add(result), overlay=decision)
    yield View("decision", "m", decision, overlay=decision)
    depth = in_colors(pictures.reduced(depth_of(fused, frames)))
    yield View("depth", "z", pictures.add(grayed(depth, shown)), overlay=decision)
    if fused.confidence is not None:
        sure = pictures.reduced(fused.confidence.astype(np.float32))
        yield View("confidence", "c", pictures.add(grayed(_byte(sure), shown)), overlay=decision)


def _drawn(layer: Layer, pictures: _Shrunk) -> Picture:
    """What the network sees of a frame, gray where the frame shows nothing."""
    small = replace(layer, pixels=pictures.reduced(layer.pixels), shown=None)
    drawn = _byte(small.seen())
    if layer.shown is not None:
        shown = pictures.reduced(layer.shown.astype(np.float32))
        drawn = grayed(drawn, shown >= 0.5)
    return drawn


def _byte(unit: NDArray[np.floating[Any]]) -> Picture:
    """Values from 0 to 1 as H x W x 3 uint8."""
    values = np.rint(unit * 255).astype(np.uint8)
    return values if values.ndim == 3 else np.repeat(values[..., None], 3, 2)


class _Shrunk:
    """Pictures of one size, reduced if they are large, and added to a page."""

    def __init__(self, shape: tuple[int, ...], pictures: Pictures) -> None:
        self.height, self.width = shape[:2]
        self.pictures = pictures
        self.scale = min(1.0, LARGEST / max(shape[:2]))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height on the page."""
        return self._size(1.0)

    @property
    def note(self) -> str:
        """What is said about the size."""
        reduced = f"shown at {self.scale:.0%} of its {self.width} × {self.height} pixels"
        return reduced if self.scale < 1 else ""

    def reduced(self, values: NDArray[Any], share: float = 1.0) -> NDArray[Any]:
        """An array at the page's size, or a share of it, by area."""
        return self._resized(values, share, cv2.INTER_AREA)

    def add(self, picture: Picture) -> int:
        """The number of a picture, H x W x 3 uint8 RGB."""
        return self._add(picture, _QUALITY)

    def add_map(self, picture: Picture) -> int:
        """The number of a picture of full size whose colors stay exact."""
        return self._add(self._resized(picture, 1.0, cv2.INTER_NEAREST), _LOSSLESS)

    def _add(self, picture: Picture, quality: int) -> int:
        done, data = cv2.imencode(".webp", picture[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, quality])
        if not done:
            raise RuntimeError("OpenCV cannot write WebP")
        return self.pictures.add("webp", data.tobytes())

    def _size(self, share: float) -> tuple[int, int]:
        scale = self.scale * share
        return max(1, round(self.width * scale)), max(1, round(self.height * scale))

    def _resized(self, values: NDArray[Any], share: float, how: int) -> NDArray[Any]:
        size = self._size(share)
        if size == (self.width, self.height):
            return values
        return np.asarray(cv2.resize(values, size, interpolation=how))


class _Colors:
    """The frames' colors: each its own or, if they are many, a sequence."""

    def __init__(self, frames: int) -> None:
        self.frames = frames
        self.steps = in_colors(np.linspace(0, 1, frames, dtype=np.float32)[None])[0]

    def drawn(self, decision: NDArray[np.uint8] | None) -> Picture:
        """A decision map in these colors."""
        decision = np.zeros((1, 1), np.uint8) if decision is None else decision
        return color_map(decision) if self.frames <= _SEQUENCE else self.steps[decision]

    @property
    def legend(self) -> tuple[tuple[str, str], ...]:
        """Names and colors of the frames, some of them if they are many."""
        places = np.linspace(0, self.frames - 1, min(self.frames, _LEGEND)).round().astype(int)
        return tuple((f"frame {place + 1}", self._css(int(place))) for place in places)

    def _css(self, place: int) -> str:
        if self.frames <= _SEQUENCE:
            return css_color(place)
        return "#{:02x}{:02x}{:02x}".format(*map(int, self.steps[place]))


def _subtitle(fused: FusedStack, report: FusedFile) -> str:
    height, width = report.size
    kind = f"{bit_depth(fused.image.dtype)} {'color' if fused.image.ndim == 3 else 'gray'}"
    return f"{count(len(report.frames), 'frame')} · {width} × {height} pixels · {kind}"


def _problems(report: FusedFile) -> Iterator[str]:
    lines = [f"{frame.name} was left out: it {frame.left_out}" for frame in report.frames if frame.left_out]
    lines += report.warnings
    if lines:
        yield "Note:"
        yield from map(_text, lines)


def _facts(fused: FusedStack, options: FuseOptions, report: FusedFile) -> Iterator[tuple[str, str]]:
    yield "rule", str(report.how["rule"])
    yield "burst", fused.burst or "all frames in one pass"
    yield "exposure", _EXPOSURE[options.exposure]
    black, white = report.how["levels"]
    yield "black and white", f"{black:g} and {white:g}"
    if options.align:
        yield "crop", options.crop
        yield "alignment consistent to", f"{fused.plan.drift:.1f} pixels"
    for stage, seconds in report.seconds.items():
        yield f"time for {stage}", duration(seconds)
    yield "mfsynth", report.to_json()["version"]


def _sections(report: FusedFile, shown: int) -> Iterator[Section]:
    used = sum(not frame.left_out for frame in report.frames)
    some = f" {shown} of {used} are shown, evenly chosen." if shown < used else ""
    yield Section("pictures", "Pictures", f"{_SHOWN}{some} {_MAPS} {VIEWER}")
    table = Table("frames", tuple(map(Cell, _HEAD)), tuple(_row(*each) for each in enumerate(report.frames)))
    yield Section("frames", "Frames", _FRAMES, (Tables("Frames", (table,)),))


def _row(place: int, frame: FrameReport) -> tuple[Cell, ...]:
    name = f"{place + 1} · {_text(frame.name)}"
    if frame.move is None:
        return (Cell(name), Cell("left out", style="quiet"), *(Cell("–"),) * (len(_HEAD) - 2))
    move = frame.move
    return (
        Cell(name),
        Cell("–" if frame.share is None else f"{frame.share:.1%}"),
        Cell(f"{frame.coverage:.1%}"),
        Cell(_channels(frame.gain, ".2f")),
        Cell(_channels(frame.offset, ".3g")),
        Cell(f"{move.dx:.1f}, {move.dy:.1f} px"),
        Cell(f"{move.scale:.4f}"),
        Cell(f"{move.angle:.2f}°"),
        Cell(str(frame.hot)),
    )


def _channels(values: tuple[float, ...], form: str) -> str:
    """A number for each channel; one if they do not differ."""
    each = [format(value, form) for value in values]
    return each[0] if len({*each}) == 1 else ", ".join(each)
