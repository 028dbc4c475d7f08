"""Makes the bad shards of a finished data set again, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mfsynth.building.claims import EVERY_SHARD, claimed
from mfsynth.building.folder import disk_errors, output_at, parts_folder
from mfsynth.building.origin import Origin, other_bytes, packages
from mfsynth.building.parts import part_name
from mfsynth.building.plan import make_plan, numbers_of
from mfsynth.building.run import check_inputs, check_sharing, make_shards, sweep
from mfsynth.building.work import Job
from mfsynth.console import count
from mfsynth.engine import check_guard
from mfsynth.errors import BuildError
from mfsynth.locks import locked
from mfsynth.options import BuildOptions, split_of
from mfsynth.shards.layout import shard_name
from mfsynth.version import __version__, same_content

if TYPE_CHECKING:
    from collections.abc import Collection

    from mfsynth.building.run import Run
    from mfsynth.shards.manifest import Manifest


def repair(manifest: Manifest, bad: Collection[str], run: Run) -> int:
    """Make shards of a data set again.

    Args:
        manifest: The data set's manifest.
        bad: Names of the shards to make again.
        run: Inputs, output (the data set's folder), and how to build.

    Returns:
        How many shards were made.

    Raises:
        SourceError: If the COCO data is not what the data set was made from.
        OutputError: If the folder cannot be written, or another build works on it.
        BuildError: If another release made the data set, a shard comes out different from what the manifest
            says, or the disk is full.
    """
    check_guard()
    options = BuildOptions.of(manifest)
    _check_release(manifest)
    split = split_of(options, run.coco, run.depth_maps, run.say)
    plan = make_plan(split, options)
    check_inputs(plan.inputs, manifest.inputs)
    origin = Origin(plan.options.to_json(), plan.inputs, packages(options))
    out = output_at(run.out)
    with (
        locked(out.shown, "build"),
        disk_errors(out),
        parts_folder(out),
        claimed(out, EVERY_SHARD, run.say) as claim,
    ):
        check_sharing(run, out, plan)
        for name in bad:
            out.remove(part_name(name))
        jobs = [
            Job(plan.options, plan.layout, index, plan.shards[number], origin, out)
            for index, number in enumerate(numbers_of(plan, manifest))
            if shard_name(options.split, index) in bad
        ]
        try:
            results = make_shards(run, jobs)
        finally:
            sweep(run, out)
        claim.check()
        _check(manifest, {part.shard.name: part.shard for part, _ in results}, packages(options))
    return len(jobs)


def _check(manifest: Manifest, made: dict[str, object], versions: dict[str, str]) -> None:
    wrong = [shard.name for shard in manifest.shards if made.get(shard.name, shard) != shard]
    if wrong:
        raise BuildError(
            f"{count(len(wrong), 'repaired shard')} not as the manifest says; the first is {wrong[0]}",
            other_bytes(manifest.packages, versions) or "a picture or mask has changed",
        )


def _check_release(manifest: Manifest) -> None:
    """Raise, before anything is touched, if another release made the data set, and would make other bytes."""
    release = manifest.packages.get("mfsynth", "")
    if not same_content(release):
        raise BuildError(
            f"the data set was made by mfsynth {release}; {__version__} stores the same in other bytes",
            f"repair it with mfsynth {release}, or build it again",
        )
