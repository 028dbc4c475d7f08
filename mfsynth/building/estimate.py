"""What a build would make, without making it: a few samples are encoded to estimate the total size."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from mfsynth import storage
from mfsynth.building.parts import Exclusion
from mfsynth.building.plan import make_plan, none_usable, say_faults
from mfsynth.building.report import STRICT_HINT, by_reason, examples, loss_lines
from mfsynth.building.run import check_inputs
from mfsynth.building.work import encode_image
from mfsynth.coco.image import read_image
from mfsynth.console import count
from mfsynth.errors import BuildError, UnusableImage
from mfsynth.options import split_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mfsynth.building.plan import Plan
    from mfsynth.building.run import Run
    from mfsynth.coco.annotations.entries import Entry
    from mfsynth.options import BuildOptions
    from mfsynth.shards.manifest import Manifest
    from mfsynth.storage import AnyPath

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
    """What a build would make. A few pictures are tried; the `untried` ones may still prove unusable.

    `bytes` is extrapolated from those of the pictures `tried` that can be used, by their pixels.
    """

    coco: AnyPath
    out: str
    split: str
    samples: int
    shards: int
    bytes: int
    files: int
    annotations: str
    left_out: dict[str, tuple[int, ...]]
    skipped: dict[str, int]
    examples: dict[str, str]
    tried: int
    untried: int = 0
    frames: int = 2
    reads: str = "pictures and masks"

    def to_json(self) -> dict[str, Any]:
        """As JSON's own types."""
        return {
            "split": self.split,
            "samples": self.samples,
            "frames": self.frames,
            "shards": self.shards,
            "bytes": self.bytes,
            "files": self.files,
            "left_out": {reason: list(ids) for reason, ids in self.left_out.items()},
            "skipped": self.skipped,
            "examples": self.examples,
            "tried": self.tried,
        }

    def lines(self) -> list[str]:
        """In words."""
        size = f"about {self.bytes / 1e6:.0f} MB" if self.bytes else "of unknown size"
        stacks = f" of {self.frames} frames" if self.frames > 2 else ""
        amount = f"{count(self.samples, 'sample')}{stacks} in {count(self.shards, 'shard')}"
        return [
            f"would make {amount}, {size}, in {self.out}",
            f"from {count(self.files, 'file')} ({self.reads}) and {self.annotations} in {self.coco}",
            f"{count(self.tried, 'picture')} tried"
            + ("; others may still prove unusable" if self.untried else ""),
            *loss_lines(self.left_out, self.skipped, self.examples, expected=True),
        ]


def estimate(options: BuildOptions, run: Run, like: Manifest | None = None) -> Estimate:
    """Plan a build and estimate its size; nothing is written except what `split_of` may unpack.

    Args:
        options: What would be made.
        run: From where, to where, and how.
        like: Manifest of a data set that the build would have to reproduce.

    Raises:
        OptionsError: If the options make no sense for this split.
        SourceError: If the COCO data is missing or broken, or is not what `like` was made from.
        BuildError: If the build is strict and an image is known to be unusable.
    """
    split = split_of(options, run.coco, run.depth_maps, run.say)
    plan = make_plan(split, options, strict=run.strict)
    say_faults(plan, run.say)
    if like is not None:
        check_inputs(plan.inputs, like.inputs)
    entries = [entry for shard in plan.shards for entry in shard]
    there = [entry for entry in entries if not entry.missing]
    tried = there[:: max(1, len(there) // _TRIED)][:_TRIED]
    size, unusable = _try(tried, plan)
    if run.strict and unusable:
        raise BuildError(str(unusable[0]), STRICT_HINT)
    found = [*_missing(entries), *unusable]
    if len(found) == len(entries):
        raise none_usable(options.split, found[0].image_id, found[0].detail)
    left_out = by_reason(plan.left_out, found)
    return Estimate(
        coco=run.coco,
        out=storage.shown(run.out),
        split=options.split,
        samples=plan.samples - options.variants * len(found),
        shards=len(plan.shards),
        bytes=round(size * options.variants * sum(map(_pixels, there))),
        files=plan.inputs.files,
        annotations=split.annotations,
        left_out=left_out,
        skipped=plan.skipped,
        examples=examples(left_out, found, plan.faults),
        tried=len(tried),
        untried=len(there) - len(tried),
        frames=options.frames,
        reads=_reads(options),
    )


def _reads(options: BuildOptions) -> str:
    """What kinds of files a build reads."""
    if options.depth != "none":
        return "pictures and depth maps"
    return "pictures" if options.masks == "instances" else "pictures and masks"


def _missing(entries: Iterable[Entry]) -> Iterator[Exclusion]:
    for entry in entries:
        if entry.missing:
            yield Exclusion(entry.image.id, entry.missing_reason, str(entry.missing))


def _try(entries: Iterable[Entry], plan: Plan) -> tuple[float, list[Exclusion]]:
    """Bytes of a sample per pixel, 0 if no image can be used; and the images that cannot."""
    pixels = encoded = 0
    unusable = []
    for entry in entries:
        try:
            image = read_image(entry, plan.options.orientation, plan.layout.gt, plan.options.cut)
            _, members = next(encode_image(image, entry, plan.options, plan.layout))
        except UnusableImage as error:
            unusable.append(Exclusion(entry.image.id, error.reason, error.message))
            continue
        encoded += sum(512 + len(data) + -len(data) % 512 for _, data in members)
        pixels += _pixels(entry)
    return encoded / max(pixels, 1), unusable


def _pixels(entry: Entry) -> int:
    return entry.image.width * entry.image.height
