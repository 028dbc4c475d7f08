"""Whether an exported network decides as torch's does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from zoo.errors import ExportError
from zoo.fusing.fuse_frames import fuse
from zoo.fusing.layer import plain
from zoo.fusing.scorer import runner_of
from zoo.publishing.example import known_pair

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mfsynth.sample import Picture
    from zoo.fusing.interface import FusionNetwork, Rule

EQUAL = 0.9999
"""The least share of pixels that go to the same frame."""

ODD_SIZES = (203, 317), (61, 97)
"""Height and width of cuts of the known pair that are no multiples of any stride."""


@dataclass(frozen=True, slots=True)
class Parity:
    """How alike two networks answer for a picture.

    Attributes:
        picture: What it is called.
        share: Of the pixels, that go to the same frame.
        difference: The largest between their scores, or values of predicted pictures.
    """

    picture: str
    share: float
    difference: float

    def line(self) -> str:
        """As a line for people."""
        return f"{self.picture}: {self.share:.4%} of the pixels as by torch"


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What a network says of a picture.

    Attributes:
        picture: What it is called.
        decision: H x W: the frame that each pixel comes from.
        scores: Of the frames, N x H x W, or a logit, 1 x H x W; or the predicted picture, 3 x H x W.
    """

    picture: str
    decision: NDArray[np.uint8]
    scores: NDArray[np.float32]


def parity(model: FusionNetwork, exported: FusionNetwork) -> tuple[Parity, ...]:
    """How alike two networks answer, for the known pair and for cuts of odd sizes."""
    return compared(answers(model), answers(exported))


def answers(model: FusionNetwork) -> tuple[Answer, ...]:
    """What a network says of the known pair, and of cuts with odd sides."""
    frames = known_pair().frames
    cuts = {"known pair": frames}
    for height, width in ODD_SIZES:
        cuts[f"{height} x {width}"] = tuple(frame[:height, :width] for frame in frames)
    return tuple(Answer(name, _decision(model, cut), _scores(model, cut)) for name, cut in cuts.items())


def compared(ours: Sequence[Answer], theirs: Sequence[Answer]) -> tuple[Parity, ...]:
    """How alike answers for the same pictures are."""
    return tuple(
        Parity(
            one.picture,
            float(np.mean(one.decision == other.decision)),
            float(np.abs(one.scores - other.scores).max()),
        )
        for one, other in zip(ours, theirs, strict=True)
    )


def check(found: Sequence[Parity], what: str, remedy: str) -> None:
    """Check that an exported network decides as torch's does.

    Args:
        found: How alike it decides.
        what: What is compared, for people.
        remedy: What to do if it does not.

    Raises:
        ExportError: If not; it says by how much.
    """
    if worse := [each for each in found if not each.share >= EQUAL]:
        least = "; ".join(each.line() for each in worse)
        raise ExportError(f"{what} decides otherwise than torch: {least}; {EQUAL:.2%} are needed", remedy)


def _decision(model: FusionNetwork, frames: Sequence[Picture]) -> NDArray[np.uint8]:
    rule: Rule | None = "nearest" if model.config.task == "reg" else None  # its default chooses no frame
    decision = fuse(model, frames, rule=rule).decision
    assert decision is not None
    return decision


def _scores(model: FusionNetwork, frames: Sequence[Picture]) -> NDArray[np.float32]:
    runner, seen = runner_of(model), [plain(frame, 255).seen() for frame in frames]
    if not model.config.sets:
        return runner.symmetric(*seen)
    height, width = seen[0].shape[:2]
    return np.stack(runner.scores(seen, (slice(0, height), slice(0, width))))
