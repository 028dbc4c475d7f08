"""What is told of a fused stack: to people in a line, to programs in JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mfsynth.console import count

if TYPE_CHECKING:
    from pathlib import Path

    from zoo.stacks.fuse import FusedStack


@dataclass(frozen=True, slots=True)
class FusedFile:
    """The result of fusing one stack.

    Attributes:
        output: The picture that was written.
        frames: Number of frames.
        size: Height and width, in pixels.
        shares: The share of the pixels that came from each frame; empty where no frame is chosen.
        moves: How each frame after the first was registered; empty without alignment.
    """

    output: Path
    frames: int
    size: tuple[int, int]
    shares: tuple[float, ...]
    moves: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """As JSON's own types."""
        return {
            "output": str(self.output),
            "frames": self.frames,
            "size": list(self.size),
            "shares": [round(share, 4) for share in self.shares],
            "moves": list(self.moves),
        }

    def line(self) -> str:
        """As a line for people."""
        shares = ", ".join(f"{share:.0%}" for share in self.shares)
        chosen = f", shares {shares}" if shares else ""
        return f"{self.output}  {count(self.frames, 'frame')}, {self.size[1]} x {self.size[0]}{chosen}"


def report_of(output: Path, fused: FusedStack, frames: int) -> FusedFile:
    """What is told of a fused stack of so many frames."""
    moves = tuple(each.move.describe() for each in fused.plan.frames[1:])
    return FusedFile(output, frames, fused.image.shape[:2], _shares(fused, frames), moves)


def _shares(fused: FusedStack, frames: int) -> tuple[float, ...]:
    if fused.decision is None:
        return ()
    counts = np.bincount(fused.decision.ravel(), minlength=frames)
    return tuple(float(each) / fused.decision.size for each in counts)
