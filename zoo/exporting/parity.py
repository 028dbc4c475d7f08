"""Whether an exported network decides as torch's does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from zoo.errors import ExportError
from zoo.fusing.fuse_frames import fuse
from zoo.publishing.example import known_pair

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mfsynth.sample import Picture
    from zoo.fusing.interface import FusionNetwork, Rule

EQUAL = 0.9999
"""The least share of pixels that go to the same frame."""

ODD_SIZES = (203, 317), (61, 97)
"""Height and width of cuts of the known pair that are no multiples of any stride."""


@dataclass(frozen=True, slots=True)
class Parity:
    """Of a picture, the share of pixels that go to the frame that torch's network chooses."""

    picture: str
    share: float

    def line(self) -> str:
        """As a line for people."""
        return f"{self.picture}: {self.share:.4%} of the pixels as by torch"


def parity(model: FusionNetwork, exported: FusionNetwork) -> tuple[Parity, ...]:
    """How alike two networks decide, on the known pair and on cuts of odd sizes."""
    frames = known_pair().frames
    cuts = {"known pair": frames}
    for height, width in ODD_SIZES:
        cuts[f"{height} x {width}"] = tuple(frame[:height, :width] for frame in frames)
    return tuple(Parity(name, _share(model, exported, cut)) for name, cut in cuts.items())


def check(found: Sequence[Parity], what: str) -> None:
    """Check that an exported network decides as torch's does.

    Raises:
        ExportError: If not; it says by how much.
    """
    if worse := [each for each in found if not each.share >= EQUAL]:
        least = "; ".join(each.line() for each in worse)
        raise ExportError(
            f"{what} decides otherwise than torch: {least}; {EQUAL:.2%} are needed", "export it as fp32"
        )


def _share(model: FusionNetwork, exported: FusionNetwork, frames: Sequence[Picture]) -> float:
    rule: Rule | None = "nearest" if model.config.task == "reg" else None  # its default chooses no frame
    one, other = (fuse(each, frames, rule=rule).decision for each in (model, exported))
    assert one is not None
    assert other is not None
    return float(np.mean(one == other))
