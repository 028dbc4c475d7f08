"""A build: lock, compare, resume, run, seal."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mfsynth import storage
from mfsynth.building.claims import EVERY_SHARD, Claimed, claimed
from mfsynth.building.folder import (
    BuildFile,
    PlanFile,
    begin,
    begin_part,
    disk_errors,
    finished,
    finished_part,
    output_at,
    remove_scratch,
)
from mfsynth.building.origin import other_bytes
from mfsynth.building.origin import packages as packages
from mfsynth.building.parts import part_name
from mfsynth.building.plan import make_plan, numbers_of, say_faults
from mfsynth.building.ranges import ShardRange
from mfsynth.building.report import STRICT_HINT, BuildReport, by_reason, examples
from mfsynth.building.seal import noted_in, seal, sealed_report
from mfsynth.building.work import Job, file_hash, make_shard
from mfsynth.coco import exclusions
from mfsynth.coco.finding.files import FileRef
from mfsynth.console import count, some
from mfsynth.engine import LOCAL, Engine, Shared, check_guard, check_machines
from mfsynth.errors import BuildError, OptionsError, OutputError, SourceError
from mfsynth.locks import locked
from mfsynth.options import BuildOptions, split_of
from mfsynth.shards.layout import in_parts, shard_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mfsynth.building.parts import Exclusion, Part
    from mfsynth.building.plan import Plan
    from mfsynth.coco.split import Split
    from mfsynth.shards.manifest import Inputs, Manifest, Shard
    from mfsynth.storage import AnyPath, Folder

_SHARE_COCO = (
    "all nodes must share its file system: put the COCO data on one, or in an object store, and give it with "
    "--coco"
)
_SHARE_OUT = "all nodes must share its file system: give --out such a folder, or the URL of an object store"
_SWEEP_SECONDS = 120.0
"""How long other machines may take to sweep: after a Ctrl-C, someone waits."""


@dataclass(frozen=True, slots=True)
class Run:
    """How a build is carried out; nothing here changes a byte of the result.

    Args:
        coco: Folder with the COCO data; it may be at a URL.
        out: Folder to make, a local path or the URL of one in an object store.
        workers: Number of processes; 0 takes every core that this process may use, or the cluster has.
        overwrite: Replace what another build left in `out`.
        strict: Any unusable image is an error.
        say: Called with a line about what takes a while.
        progress: Called with the number of samples done and to do.
        depth_maps: Folder of depth maps, if the options take planes from them.
        part: Shards to make; None makes them all, and the manifest.
        engine: Who makes the shards.
    """

    coco: AnyPath
    out: Path | str
    workers: int = 0
    overwrite: bool = False
    strict: bool = False
    say: Callable[[str], None] = lambda _: None
    progress: Callable[[int, int], None] = lambda _done, _total: None
    depth_maps: Path | None = None
    part: ShardRange | None = None
    engine: Engine = LOCAL


def build(options: BuildOptions, run: Run, like: Manifest | None = None) -> BuildReport:
    """Make a data set or a part of it, or finish one that was started with the same options.

    Args:
        options: What to make.
        run: Inputs, output, and how to build.
        like: Manifest of a data set to reproduce.

    Raises:
        OptionsError: If the options make no sense for this split, or the part has shards that there are not.
        SourceError: If the COCO data is missing or broken, or is not what `like` was made from.
        OutputError: If the folder holds something else or cannot be written, or another build works on it.
        BuildError: If a worker died twice, the disk is full, the result is not `like`, or a machine of the
            engine does not see the same files.
    """
    check_guard()
    started, out = time.monotonic(), output_at(run.out)
    split = split_of(options, run.coco, run.depth_maps, run.say)
    plan = make_plan(split, options, strict=run.strict)
    if run.part:
        _check_part(run, run.part, len(plan.shards))
    say_faults(plan, run.say)
    begun = BuildFile(plan.options.to_json(), plan.inputs, packages(plan.options), plan.files)
    if like is not None:
        check_inputs(plan.inputs, like.inputs)
        if others := other_bytes(like.packages, begun.packages):
            run.say(others)  # before the hours that the build takes
    work = _Work(run, out, split, plan, begun, started)
    return _build_part(work, run.part, like) if run.part else _build_whole(work, like)


def _check_part(run: Run, part: ShardRange, count: int) -> None:
    """Raise if a part cannot be made.

    Raises:
        OptionsError: If there are no such shards, or other parts would be lost.
    """
    if part.stop > count:
        raise OptionsError(
            f"--shard-range {part} goes beyond the last of {count:,} shards",
            f"the range of all is 0:{count}; --shards sets their number",
        )
    if run.overwrite:
        raise OptionsError(
            "--overwrite would remove what other parts have made",
            f"omit it, and remove {storage.shown(run.out)} before the first part starts",
        )


@dataclass(frozen=True, slots=True)
class _Work:
    """What is built, and how."""

    run: Run
    out: Folder
    split: Split
    plan: Plan
    begun: BuildFile
    started: float

    @property
    def planned(self) -> PlanFile:
        """What the manifest needs to know of the plan."""
        plan = self.plan
        images = tuple(tuple(entry.image.id for entry in entries) for entries in plan.shards)
        return PlanFile(plan.layout, images, plan.left_out, plan.skipped, self.split.licenses)


def _build_whole(work: _Work, like: Manifest | None) -> BuildReport:
    run, out = work.run, work.out
    made, found = 0, None
    with locked(out.shown, "build"), disk_errors(out):
        sealed = finished(out, work.begun, overwrite=run.overwrite)
        if sealed is None:
            with _claimed(work, EVERY_SHARD) as claim:
                try:
                    there = begin(out, claim.there, work.begun, overwrite=run.overwrite)
                    results = _run(work, ShardRange(0, len(work.plan.shards)), there)
                finally:
                    sweep(run, out)
                claim.check()
                sealed = seal(out, work.begun, work.planned, [part for part, _ in results])
            made = sum(made for part, made in results if part.shard.samples)
            found = [fault for part, _ in results for fault in part.left_out]
        report = _report(work, sealed, made=made, found=found)
    if like is not None:
        _check_same(sealed, like)
    return report


def _build_part(work: _Work, part: ShardRange, like: Manifest | None) -> BuildReport:
    out, begun = work.out, work.begun
    names = [shard_name(work.plan.options.split, number) for number in part.numbers]
    with disk_errors(out):
        sealed = finished_part(out, begun)
        if sealed is None:
            with _claimed(work, part) as claim:
                sealed = begin_part(out, claim.there, begun, work.planned, names)
                if sealed is None:
                    return _make_part(work, part, names, claim.there, like)
        report = _report(work, sealed)
    if like is not None:
        _check_same(sealed, like)
    return report


@contextmanager
def _claimed(work: _Work, shards: ShardRange) -> Iterator[Claimed]:
    """Keep others off some shards while the block runs, once it is known that every machine can make them."""
    work.out.prepare()
    with claimed(work.out, shards, work.run.say) as claim:
        check_sharing(work.run, work.out, work.plan)
        yield claim


def check_sharing(run: Run, out: Folder, plan: Plan) -> None:
    """Check that every machine writes to this folder, reads this data, and makes these bytes.

    Raises:
        BuildError: If one does not.
    """
    if run.engine is LOCAL:  # there is no other machine
        return
    first = next(entry for entries in plan.shards for entry in entries)
    found = [file for file in first.files(plan.options.split).values() if isinstance(file, FileRef)]
    inputs = [Shared(file.path, storage.shown(file.path), _SHARE_COCO) for file in found]
    name = in_parts(f"tmp-{secrets.token_hex(8)}")  # new, so that no other machine has it by chance
    out.write(name, name.encode())
    try:
        output = Shared(storage.join(out.location, name), f"what this machine writes to {out}", _SHARE_OUT)
        check_machines(run.engine, [*inputs, output], partial(packages, plan.options), run.say)
    finally:
        out.remove(name)


def sweep(run: Run, out: Folder, shards: Sequence[str] | None = None) -> None:
    """Remove what stopped or dead jobs left half done, of some shards or of all, on every machine."""
    remove = out.sweep if shards is None else partial(remove_scratch, out, shards)
    remove()
    if out.apart:
        with suppress(BuildError):  # a machine that does not answer is swept at the end of the next build
            run.engine.everywhere(remove, say=run.say, seconds=_SWEEP_SECONDS)


def _make_part(
    work: _Work, part: ShardRange, names: list[str], there: dict[str, int], like: Manifest | None
) -> BuildReport:
    out = work.out
    try:
        results = _run(work, part, there)
    finally:
        sweep(work.run, out, names)
    parts = [each for each, _ in results]
    shards = [each.shard for each in parts if each.shard.samples]
    for shard in shards:  # here, since this machine has written them
        out.sync(shard.name)
    if like is not None:
        _check_part_same(shards, part, work.plan, like)
    faults = [fault for each in parts for fault in each.left_out]
    left_out = by_reason({}, faults)
    made = sum(made for each, made in results if each.shard.samples)
    return BuildReport(
        out=out.shown,
        samples=sum(shard.samples for shard in shards),
        shards=len(shards),
        made=made,
        kept=len(shards) - made,
        bytes=sum(shard.size for shard in shards),
        seconds=time.monotonic() - work.started,
        left_out=left_out,
        noted=noted_in(parts),
        closed=len(parts) - len(shards),
        examples=examples(left_out, faults, ()),
        shard_range=(part.first, part.stop),
    )


def _run(work: _Work, shards: ShardRange, there: dict[str, int]) -> list[tuple[Part, bool]]:
    """For each of some shards, made or kept: its side file's content, and whether it was made now.

    `there` gives the sizes of the files that the folder has, by name.
    """
    plan, run, origin = work.plan, work.run, work.begun.origin
    jobs = [
        Job(plan.options, plan.layout, index, plan.shards[index], origin, work.out, run.strict, size)
        for index, size in ((index, _size(there, plan, index)) for index in shards.numbers)
    ]
    return make_shards(run, jobs)


def make_shards(run: Run, jobs: list[Job]) -> list[tuple[Part, bool]]:
    """Have the run's engine do some jobs; what each gives, in the order of the shards."""
    total = sum(job.options.variants * len(job.entries) for job in jobs)
    finished = run.engine.run(
        make_shard,
        jobs,
        workers=run.workers,
        say=run.say,
        progress=lambda done: run.progress(min(done, total), total),
    )
    return [result for _, result in sorted(finished, key=lambda pair: pair[0].index)]


def _size(there: dict[str, int], plan: Plan, index: int) -> int | None:
    """Size of a shard that is there with its side file, 0 if it was not written; None without a side file."""
    name = shard_name(plan.options.split, index)
    return there.get(name, 0) if part_name(name) in there else None


def _check_left_out(split: Split, manifest: Manifest, run: Run) -> None:
    """Raise if files that caused images to be left out have changed since, or if none may be left out."""
    unusable = [id for reason, ids in manifest.left_out.items() if reason != exclusions.LICENSE for id in ids]
    if run.strict and unusable:
        raise BuildError(
            f"{storage.shown(run.out)} was made without images that could not be used: {some(unusable)}",
            STRICT_HINT,
        )
    if not manifest.left_out_files:
        return
    now = {name: file for entry in split.entries for name, file in entry.files(split.name).items()}
    changed = [name for name, digest in manifest.left_out_files.items() if file_hash(now.get(name)) != digest]
    if changed:
        raise OutputError(
            f"{storage.shown(run.out)} is finished, but was made without images whose files have changed "
            f"since: {', '.join(changed)}",
            "build it again with --overwrite",
        )


# --- the same data set again --------------------------------------------------------------------------


def check_inputs(now: Inputs, then: Inputs) -> None:
    """Raise if a data set is to be reproduced from other inputs; the error names them."""
    if now.fingerprint == then.fingerprint:
        return
    differing = []
    if now.annotations_sha256 != then.annotations_sha256:
        differing.append(
            f"{now.annotations} (SHA-256 {now.annotations_sha256[:12]}…, was {then.annotations_sha256[:12]}…)"
        )
    if now.pictures != then.pictures:
        differing.append("the names and sizes of the pictures")
    if now.masks != then.masks:
        differing.append("the names and sizes of the masks")
    if now.depth_maps != then.depth_maps:
        differing.append("the names and sizes of the depth maps")
    if now.files != then.files:
        differing.append(f"the number of files ({now.files}, was {then.files})")
    raise SourceError(
        f"the data set of the manifest was made from other data; it differs in {'; '.join(differing)}",
        "use the same COCO files",
    )


def _check_same(made: Manifest, like: Manifest) -> None:
    """Raise if what was made is not, byte for byte, what the manifest describes."""
    if len(made.shards) != len(like.shards):
        raise BuildError(
            f"the options give {count(len(made.shards), 'shard')}, the manifest has {len(like.shards):,}",
            "it contradicts its own options: fetch it again from where it was published",
        )
    differing = [new.name for new, old in zip(made.shards, like.shards, strict=True) if new != old]
    _refuse(differing, len(made.shards), made.packages, like)


def _check_part_same(made: list[Shard], part: ShardRange, plan: Plan, like: Manifest) -> None:
    """Raise if the shards of a part are not those of the manifest."""
    split = plan.options.split
    names = [shard_name(split, number) for number in numbers_of(plan, like)]
    then = {name: replace(old, name=name) for name, old in zip(names, like.shards, strict=False)}
    now = {shard.name: shard for shard in made}
    wanted = [shard_name(split, number) for number in part.numbers]
    differing = [name for name in wanted if then.get(name) != now.get(name)]
    _refuse(differing, len(wanted), packages(plan.options), like)


def _refuse(differing: list[str], total: int, versions: dict[str, str], like: Manifest) -> None:
    """Raise if some shards differ from those of the manifest."""
    if differing:
        raise BuildError(
            f"{len(differing):,} of {count(total, 'shard')} differ from those in the manifest; "
            f"the first is {differing[0]}",
            other_bytes(like.packages, versions) or "the content of a picture or mask changed",
        )


def _report(
    work: _Work, manifest: Manifest, *, made: int = 0, found: list[Exclusion] | None = None
) -> BuildReport:
    """What a build made; `found` are the images that it could not use, None if it was finished before."""
    if found is None:
        _check_left_out(work.split, manifest, work.run)
    report = sealed_report(work.out, manifest, work.plan.faults, found)
    seconds = time.monotonic() - work.started
    return replace(report, made=made, kept=report.shards - made, seconds=seconds, finished=found is None)
