"""Which image goes to which shard, and which images are left out because of their annotations."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from mfsynth.building.report import STRICT_HINT
from mfsynth.coco import exclusions
from mfsynth.coco.image import gt_kind
from mfsynth.errors import BuildError, OptionsError, SourceError
from mfsynth.options import choose
from mfsynth.shards.layout import Layout
from mfsynth.shards.manifest import Inputs, fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mfsynth.coco.annotations.entries import Entry, Fault
    from mfsynth.coco.split import Split
    from mfsynth.options import BuildOptions, Choice
    from mfsynth.shards.manifest import Manifest

_SAMPLES_PER_SHARD = 1000
_SHOWN = 5


@dataclass(frozen=True)
class Plan:
    """Which image goes to which shard.

    Args:
        options: The options, with the number of shards settled.
        layout: The samples' members.
        shards: The images of each shard, by ascending id.
        left_out: Ids of images that were left out before planning, by reason.
        skipped: Number of records that were skipped without leaving out an image, by reason.
        faults: What is wrong with the annotations, record by record.
        files: Size of every picture, mask and depth map used, by name; -1 if it is missing.
        inputs: Fingerprints of the annotations and of `files`.
    """

    options: BuildOptions
    layout: Layout
    shards: tuple[tuple[Entry, ...], ...]
    left_out: dict[str, tuple[int, ...]]
    skipped: dict[str, int]
    faults: tuple[Fault, ...]
    files: dict[str, int]
    inputs: Inputs

    @property
    def samples(self) -> int:
        """Number of samples if no more images turn out to be unusable."""
        return self.options.variants * sum(len(entries) for entries in self.shards)


def make_plan(split: Split, options: BuildOptions, *, strict: bool = False) -> Plan:
    """Choose the images and assign them to shards: image k of N goes to shard k·S/N, rounded down.

    Raises:
        SourceError: If no image is left.
        OptionsError: If a requested image is not in the split, or there are more shards than images.
        BuildError: If the build is strict and an image is unusable.
    """
    choice = choose(split, options)
    chosen = choice.entries
    _check_any(split, chosen)
    if strict:
        _check_strict(choice)
    count = options.shards or -(-len(chosen) * options.variants // _SAMPLES_PER_SHARD)
    if count > len(chosen):
        raise OptionsError(
            f"--shards {count} is more than the number of images, {len(chosen):,}",
            f"use --shards {len(chosen)} or fewer",
        )
    files = _files(split, chosen)
    return Plan(
        options=replace(options, shards=count),
        layout=Layout(
            options.store,
            gt_kind(chosen),
            "jpg" if options.format == "jpeg" else "png",
            options.frames,
            targets=options.draw.optical,
        ),
        shards=share_out(chosen, count),
        left_out=choice.left_out,
        skipped=choice.skipped,
        faults=choice.faults,
        files=files,
        inputs=_inputs(split, files),
    )


def say_faults(plan: Plan, say: Callable[[str], None]) -> None:
    """Name the first records that are at fault."""
    for fault in plan.faults[:_SHOWN]:
        say(fault.detail)
    if len(plan.faults) > _SHOWN:
        say(f"{len(plan.faults) - _SHOWN:,} more records are at fault; --strict stops at the first")


def _check_any(split: Split, chosen: Sequence[Entry]) -> None:
    if all(entry.missing for entry in chosen):
        raise none_usable(split.name, chosen[0].image.id, str(chosen[0].missing))


def none_usable(split: str, first: int, detail: str) -> SourceError:
    """The error for a split of which nothing can be used; an image's id, and what is wrong with it."""
    return SourceError(
        f"none of the images of {split} can be used; the first, {first}: {detail}", "no data set was made"
    )


def _check_strict(choice: Choice) -> None:
    if choice.faults:
        raise BuildError(choice.faults[0].detail, STRICT_HINT)
    for reason, ids in choice.left_out.items():
        if reason != exclusions.LICENSE:
            raise BuildError(f"image {ids[0]} cannot be used: {exclusions.MEANING[reason]}", STRICT_HINT)
    for entry in choice.entries:
        if entry.missing:
            raise BuildError(f"image {entry.image.id} cannot be used: {entry.missing}", STRICT_HINT)


def share_out(entries: Sequence[Entry], count: int) -> tuple[tuple[Entry, ...], ...]:
    """Image k of N goes to shard k·S/N, rounded down: contiguous runs whose lengths differ by at most one."""
    bounds = [-(-number * len(entries) // count) for number in range(count + 1)]
    return tuple(tuple(entries[low:high]) for low, high in pairwise(bounds))


def numbers_of(plan: Plan, manifest: Manifest) -> list[int]:
    """The number in the plan of each shard of a manifest: a build closes up where no image can be used."""
    if len(plan.shards) == len(manifest.shards):
        return list(range(len(plan.shards)))
    left_out = {id for ids in manifest.left_out.values() for id in ids}
    return [
        number
        for number, entries in enumerate(plan.shards)
        if any(each.image.id not in left_out for each in entries)
    ]


def _files(split: Split, entries: Sequence[Entry]) -> dict[str, int]:
    files = {name: file for entry in entries for name, file in entry.files(split.name).items()}
    return {name: file.size for name, file in sorted(files.items())}


def _inputs(split: Split, files: dict[str, int]) -> Inputs:
    masks = _inside(f"panoptic_{split.name}/", files)
    depth_maps = _inside(f"depth_{split.name}/", files)
    pictures = {name: size for name, size in files.items() if name not in masks and name not in depth_maps}
    parts = {
        "annotations_sha256": split.annotations_sha256,
        "pictures": fingerprint(pictures),
        "masks": fingerprint(masks) if masks else "",
    }
    if depth_maps:
        parts["depth_maps"] = fingerprint(depth_maps)
    return Inputs(split.annotations, files=len(files), fingerprint=fingerprint(parts), **parts)


def _inside(folder: str, files: dict[str, int]) -> dict[str, int]:
    return {name: size for name, size in files.items() if name.startswith(folder)}
