"""How stacks are fused, and what is written beside the picture."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from mfsynth.errors import OptionsError
from zoo.alignment.canvas import Crop
from zoo.fusing.interface import Burst, Rule, rule_of
from zoo.fusing.tiles import check_side

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from zoo.fusing.interface import FusionNetwork

Exposure = Literal["first", "median", "keep"]
"""The exposure of the result: the first frame's, the median of all frames', or each pixel its own frame's."""

Group = Literal["name", "auto"]
"""How loose files become stacks: by their names, or by capture time and likeness."""


@dataclass(frozen=True, slots=True)
class FuseOptions:
    """How a stack is fused; see `zoo.fusing.fuse_frames.fuse`.

    Args:
        rule: None takes the network's default.
        burst: How a network for two frames fuses more: `joint` compares each with each, `fold` adds one after
            the other, and in a `tournament`, neighbors are fused first, and then their results. None takes
            `joint` up to eight frames, `tournament` beyond. A network for sets takes all frames together, in
            one pass.
        symmetric: Evaluate both orders of two frames; a network for sets makes one pass for all orders.
        tile: Side of the tiles, in pixels; None takes the largest that need about 1 GB.
        align: Register every frame.
        crop: What the result covers, after `align`.
        exposure: Of the result.
        raw_decision: Keep the network's decision, pixel by pixel, where frames hardly differ, too.
        hot_pixels: Repair pixels that are far outside all their neighbors in one frame.
        range: The values of black and white; None takes them from the data.
        strict: Refuse the stack if a frame cannot be matched or registered, rather than leave it out.
        quality: Of JPEG output, 1 to 100.
        linear: Develop RAW in linear light.

    Raises:
        OptionsError: If a value makes no sense, or would have no effect with the others.
    """

    rule: Rule | None = None
    burst: Burst | None = None
    symmetric: bool = True
    tile: int | None = None
    align: bool = False
    crop: Crop = "first"
    exposure: Exposure = "first"
    raw_decision: bool = False
    hot_pixels: bool = True
    range: tuple[float, float] | None = None
    strict: bool = False
    quality: int = 95
    linear: bool = False

    def __post_init__(self) -> None:
        _check_one_of("rule", self.rule, (None, *get_args(Rule)))
        _check_one_of("burst", self.burst, (None, *get_args(Burst)))
        _check_one_of("crop", self.crop, get_args(Crop))
        _check_one_of("exposure", self.exposure, get_args(Exposure))
        if self.crop != "first" and not self.align:
            raise OptionsError("--crop has no effect without --align", "add --align")
        if self.range is not None and not _rises(*self.range):
            raise OptionsError(
                f"--range is {self.range[0]:g} {self.range[1]:g}",
                "give black first, then white; white must be larger",
            )
        if not 1 <= self.quality <= 100:
            raise OptionsError(f"--quality is {self.quality}", "it must be from 1 to 100")

    def check_network(self, network: FusionNetwork) -> None:
        """Check that a network can do this.

        Raises:
            OptionsError: If it does not have the rule, or an option would have no effect with it.
        """
        rule = rule_of(network, self.rule)
        if self.tile is not None:
            check_side(network.config, self.tile, "--tile")
        if network.config.sets:
            self._check_sets()
        if self.raw_decision and rule == "direct":
            raise OptionsError("--raw-decision has no effect on a picture that is predicted", "omit it")

    def _check_sets(self) -> None:
        """Check that nothing is asked for that has an effect only where frames are compared two at a time."""
        hint = "omit it, or use a network that compares two frames, such as hf-seg"
        if self.burst not in (None, "joint"):
            why = "it takes all frames in one pass"
            raise OptionsError(f"--burst {self.burst} has no effect on this network: {why}", hint)
        if not self.symmetric:
            why = "its one pass does not depend on the order of the frames"
            raise OptionsError(f"--single-pass has no effect on this network: {why}", hint)

    def decides(self, network: FusionNetwork) -> bool:
        """Whether a network chooses frames, rather than predict the picture."""
        return rule_of(network, self.rule) != "direct"


@dataclass(frozen=True, slots=True)
class Extras:
    """What is written beside the fused picture.

    Args:
        decision_map: A gray picture of the frame that each pixel came from, the first black, the last white.
        depth_map: The decision as smooth depth: .png and .tif in 16 bits, .jpg and .webp in colors.
        preview: An HTML page to flip between frames, result and maps.

    Raises:
        OptionsError: If the page's name does not end in .html or .htm.
    """

    decision_map: Path | None = None
    depth_map: Path | None = None
    preview: Path | None = None

    def __post_init__(self) -> None:
        if self.preview is not None and self.preview.suffix.lower() not in (".html", ".htm"):
            raise OptionsError(f"--preview writes a page, so {self.preview} must end in .html", "rename it")

    @property
    def paths(self) -> list[Path]:
        """The files to write."""
        return [path for path in (self.decision_map, self.depth_map, self.preview) if path is not None]


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """How a folder of stacks is fused.

    Args:
        group: How loose files become stacks.
        suffix: Of the results; None takes the frames' own.
        dry_run: Only tell the stacks.
    """

    group: Group = "name"
    suffix: str | None = None
    dry_run: bool = False


def _check_one_of(name: str, value: object, known: Sequence[object]) -> None:
    if value not in known:
        names = [str(each) for each in known if each is not None]
        raise OptionsError(f"{name} is {value!r}", f"it can be {', '.join(names[:-1])} or {names[-1]}")


def _rises(black: float, white: float) -> bool:
    return math.isfinite(black) and math.isfinite(white) and black < white
