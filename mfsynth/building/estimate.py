"""What a build would make, without making it: a few samples are encoded to estimate the total size."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from mfsynth import storage
from mfsynth.building.plan import make_plan, say_faults
from mfsynth.building.run import check_inputs
from mfsynth.building.work import encode_image
from mfsynth.coco.image import read_image
from mfsynth.coco.split import read_split
from mfsynth.console import count
from mfsynth.errors import UnusableImage

if TYPE_CHECKING:
    from pathlib import Path

    from mfsynth.building.plan import Plan
    from mfsynth.building.run import Run
    from mfsynth.options import BuildOptions
    from mfsynth.shards.manifest import Manifest

_TRIED = 5


@dataclass(frozen=True, slots=True)
class DownloadFirst:
    """What a build would have to download before anything else is known about it."""

    split: str
    download_bytes: int

    def to_json(self) -> dict[str, Any]:
        """As JSON's own types."""
        return asdict(self)

    def lines(self) -> list[str]:
        """In words."""
        size = f"{self.download_bytes / 1e9:.1f} GB"
        return [f"would download {size} of {self.split} first; what it would make is known only then"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a build would make; `bytes` is extrapolated from a few samples by their pixels."""

    coco: Path
    out: Path
    split: str
    samples: int
    shards: int
    bytes: int
    files: int
    annotations: str
    left_out: dict[str, tuple[int, ...]]

    def to_json(self) -> dict[str, Any]:
        """As JSON's own types."""
        return {
            "split": self.split,
            "samples": self.samples,
            "shards": self.shards,
            "bytes": self.bytes,
            "files": self.files,
            "left_out": {reason: list(ids) for reason, ids in self.left_out.items()},
        }

    def lines(self) -> list[str]:
        """In words."""
        lines = [
            f"would make {count(self.samples, 'sample')} in {count(self.shards, 'shard')}, "
            f"about {self.bytes / 1e6:.0f} MB, in {self.out}",
            f"from {count(self.files, 'file')} (pictures and masks) and {self.annotations} of {self.coco}",
        ]
        return lines + [f"would leave out {len(ids)}: {reason}" for reason, ids in self.left_out.items()]


def estimate(options: BuildOptions, run: Run, like: Manifest | None = None) -> Estimate:
    """Plan a build and estimate its size; nothing is written except what `read_split` may unpack.

    Args:
        options: What would be made.
        run: From where, to where, and how.
        like: Manifest of a data set that the build would have to reproduce.

    Raises:
        OptionsError: If the options make no sense for this split.
        SourceError: If the COCO data is missing or broken, or is not what `like` was made from.
        BuildError: If the build is strict and the annotations show that an image is unusable.
    """
    split = read_split(run.coco, options.split, options.masks, cache=storage.cache_folder(), say=run.say)
    plan = make_plan(split, options, strict=run.strict)
    say_faults(plan, run.say)
    if like is not None:
        check_inputs(plan.inputs, like.inputs)
    return Estimate(
        run.coco,
        run.out,
        options.split,
        plan.samples,
        len(plan.shards),
        _bytes(plan),
        plan.inputs.files,
        split.annotations,
        plan.left_out,
    )


def _bytes(plan: Plan) -> int:
    entries = [entry for shard in plan.shards for entry in shard]
    pixels = sum(entry.image.width * entry.image.height for entry in entries)
    tried = encoded = 0
    for entry in entries[:: max(1, len(entries) // _TRIED)][:_TRIED]:
        try:
            image = read_image(entry, plan.options.orientation, plan.layout.gt)
            _, members = next(encode_image(image, entry, plan.options, plan.layout))
        except UnusableImage:
            continue
        encoded += sum(512 + len(data) + -len(data) % 512 for _, data in members)
        tried += entry.image.width * entry.image.height
    return pixels * encoded // tried * plan.options.variants if tried else 0
