"""How stacks are fused, and what is written beside the picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mfsynth.errors import OptionsError

if TYPE_CHECKING:
    from pathlib import Path

    from zoo.alignment.canvas import Crop
    from zoo.fusing.fusion import Burst, Rule

Exposure = Literal["first", "median", "keep"]
"""The exposure of the result: the first frame's, the median of all frames', or each pixel its own frame's."""

Group = Literal["name", "auto"]
"""How loose files become stacks: by their names, or by capture time and likeness."""


@dataclass(frozen=True, slots=True)
class FuseOptions:
    """How a stack is fused; see `zoo.fusing.fusion.fuse`.

    Args:
        rule: None takes the network's default.
        burst: `joint` or `fold`; None takes `joint` up to eight frames, `fold` beyond.
        symmetric: Evaluate both orders of the frames.
        tile: Side of the tiles, in pixels; None takes the largest that need about 1 GB.
        align: Register every frame.
        crop: What the result covers, after `align`.
        exposure: Of the result.
        raw_decision: Keep the network's decision, pixel by pixel, where frames hardly differ, too.
        hot_pixels: Repair pixels that are far outside all their neighbors in one frame.
        range: The values of black and white; None takes them from the data.
        strict: Refuse the stack if a frame cannot be matched or registered, rather than leave it out.
        quality: Of JPEG output.
        linear: Develop RAW in linear light.
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
