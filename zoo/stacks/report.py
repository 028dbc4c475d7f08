"""What is told of a fused stack: to people in a line, to programs in JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mfsynth import __version__
from mfsynth.console import count
from zoo.alignment.canvas import coverage
from zoo.stacks.words import FEW

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from zoo.alignment.similarity import Similarity
    from zoo.fusing.fuse_frames import Rule
    from zoo.stacks.fuse import FusedStack
    from zoo.stacks.options import FuseOptions
    from zoo.stacks.planning.plan import FramePlan


@dataclass(frozen=True, slots=True)
class FrameReport:
    """What became of a frame.

    Attributes:
        name: Of its file.
        left_out: Why it took no part; empty if it did, and only then is there the rest.
        share: Of the result's pixels, that came mostly from it; None where no frame is chosen.
        coverage: Of the result's pixels, that it shows.
        gain: By what its values were multiplied for the common exposure, for each channel.
        offset: What was then added, for each channel, in the frames' own values.
        move: Where it lies relative to the first frame that took part.
        hot: How many values of hot or dead pixels were repaired.
    """

    name: str
    left_out: str = ""
    share: float | None = None
    coverage: float = 0.0
    gain: tuple[float, ...] = ()
    offset: tuple[float, ...] = ()
    move: Similarity | None = None
    hot: int = 0

    def to_json(self) -> dict[str, Any]:
        """As JSON's own types."""
        if self.move is None:
            return {"name": self.name, "left_out": self.left_out}
        move = {name: round(value, 5) for name, value in asdict(self.move).items()}
        return {
            "name": self.name,
            "share": None if self.share is None else round(self.share, 4),
            "coverage": round(self.coverage, 4),
            "gain": [round(each, 5) for each in self.gain],
            "offset": [round(each, 5) for each in self.offset],
            "move": move,
            "hot_pixels": self.hot,
        }


@dataclass(frozen=True, slots=True)
class FusedFile:
    """The result of fusing one stack.

    Attributes:
        output: The picture that was written.
        frames: What became of each, in the stack's order.
        size: Height and width, in pixels.
        how: How it was fused, as JSON's own types: rule, burst (None is one pass for all frames), backend,
            precision, exposure, levels, crop, canvas, drift.
        warnings: Lines about what is odd.
        seconds: How long each stage took.
    """

    output: Path
    frames: tuple[FrameReport, ...]
    size: tuple[int, int]
    how: Mapping[str, Any]
    warnings: tuple[str, ...]
    seconds: Mapping[str, float]

    @property
    def shares(self) -> tuple[float, ...]:
        """The share of the pixels that came from each frame; empty where no frame is chosen."""
        if all(frame.share is None for frame in self.frames):
            return ()
        return tuple(frame.share or 0.0 for frame in self.frames)

    @property
    def moves(self) -> tuple[str, ...]:
        """How each frame after the first that took part was registered, in words."""
        return tuple(frame.move.describe() for frame in self.frames if frame.move is not None)[1:]

    def to_json(self) -> dict[str, Any]:
        """As JSON's own types."""
        return {
            "output": str(self.output),
            "frames": len(self.frames),
            "size": list(self.size),
            "shares": [round(share, 4) for share in self.shares],
            "moves": list(self.moves),
            "per_frame": [frame.to_json() for frame in self.frames],
            **self.how,
            "warnings": list(self.warnings),
            "seconds": {stage: round(each, 2) for stage, each in self.seconds.items()},
            "version": __version__,
        }

    def line(self) -> str:
        """As a line for people."""
        used = sum(not frame.left_out for frame in self.frames)
        of = "" if used == len(self.frames) else f"{used} of "
        size = f"{self.size[1]} x {self.size[0]}"
        once = " in one pass" if used > 2 and self.how["burst"] is None else ""
        return f"{self.output}  {of}{count(len(self.frames), 'frame')}{once}, {size}{self._share_words()}"

    def _share_words(self) -> str:
        shares = self.shares
        if len(shares) <= FEW:
            return f", shares {', '.join(f'{share:.0%}' for share in shares)}" if shares else ""
        least, most = min(shares), max(shares)
        names = [self.frames[shares.index(each)].name for each in (least, most)]
        return f", shares from {least:.0%} ({names[0]}) to {most:.0%} ({names[1]})"


def report_of(
    output: Path, fused: FusedStack, names: Sequence[str], options: FuseOptions, rule: Rule
) -> FusedFile:
    """What is told of a fused stack.

    Args:
        output: The picture that was written.
        fused: The stack.
        names: Of all its frames.
        options: How it was fused.
        rule: The one that was taken.
    """
    plan = fused.plan
    taken = {frame.place: frame for frame in plan.frames}
    shares = _shares(fused, len(names))
    moves = [frame.move for frame in plan.frames]
    shown = dict(zip(taken, coverage(moves, plan.height, plan.width, plan.canvas), strict=True))
    frames = tuple(
        _frame(taken[place], shares[place], shown[place])
        if place in taken
        else FrameReport(name, plan.left_out.get(name, ""))
        for place, name in enumerate(names)
    )
    how = {
        "rule": rule,
        "burst": fused.burst,
        "backend": fused.backend,
        "precision": fused.precision,
        "exposure": options.exposure,
        "levels": [plan.levels.black, plan.levels.white],
        "crop": options.crop,
        "canvas": asdict(plan.canvas),
        "drift": round(plan.drift, 3),
    }
    return FusedFile(output, frames, fused.image.shape[:2], how, plan.warnings, fused.seconds)


def _frame(frame: FramePlan, share: float | None, shown: float) -> FrameReport:
    tone = frame.tone
    return FrameReport(frame.name, "", share, shown, tone.gain, tone.offset, frame.move, len(frame.hot))


def _shares(fused: FusedStack, frames: int) -> list[float | None]:
    if fused.decision is None:
        return [None] * frames
    chosen = fused.decision[fused.plan.shown()]
    counts = np.bincount(chosen, minlength=frames)
    return [float(each) / chosen.size for each in counts]
