"""A build: lock, compare, resume, run, seal."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import cv2

from mfsynth import storage
from mfsynth.building.folder import BuildFile, disk_errors, open_folder, other_bytes, remove_scratch
from mfsynth.building.parts import Part, exclusions_in
from mfsynth.building.plan import make_plan, none_usable, say_faults
from mfsynth.building.report import STRICT_HINT, BuildReport, by_reason, examples
from mfsynth.building.work import Job, file_hash, make_shard
from mfsynth.coco import exclusions
from mfsynth.console import count, some
from mfsynth.engine import check_guard, run_jobs, usable_cores
from mfsynth.errors import BuildError, OutputError, SourceError
from mfsynth.locks import locked
from mfsynth.options import BuildOptions, split_of
from mfsynth.shards.layout import MANIFEST, PARTS, shard_name
from mfsynth.shards.manifest import MANIFEST_FORMAT, Inputs, LicenseCount, Manifest, Shard
from mfsynth.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mfsynth.building.plan import Plan
    from mfsynth.coco.split import Split


@dataclass(frozen=True, slots=True)
class Run:
    """How a build is carried out; nothing here changes a byte of the result.

    Args:
        coco: Folder with the COCO data.
        out: Folder to make.
        workers: Number of processes; 0 takes every core that this process may use.
        overwrite: Replace what another build left in `out`.
        strict: Any unusable image is an error.
        say: Called with a line about what takes a while.
        progress: Called with the number of samples done and to do.
        depth_maps: Folder of depth maps, if the options take planes from them.
    """

    coco: Path
    out: Path
    workers: int = 0
    overwrite: bool = False
    strict: bool = False
    say: Callable[[str], None] = lambda _: None
    progress: Callable[[int, int], None] = lambda _done, _total: None
    depth_maps: Path | None = None


def build(options: BuildOptions, run: Run, like: Manifest | None = None) -> BuildReport:
    """Make a data set, or finish one that was started with the same options.

    Args:
        options: What to make.
        run: Inputs, output, and how to build.
        like: Manifest of a data set to reproduce.

    Raises:
        OptionsError: If the options make no sense for this split.
        SourceError: If the COCO data is missing or broken, or is not what `like` was made from.
        OutputError: If the folder holds something else or cannot be written, or another build works on it.
        BuildError: If a worker died twice, the disk is full, or the result is not `like`.
    """
    check_guard()
    started = time.monotonic()
    split = split_of(options, run.coco, run.depth_maps, run.say)
    plan = make_plan(split, options, strict=run.strict)
    say_faults(plan, run.say)
    begun = BuildFile(plan.options.to_json(), plan.inputs, packages(plan.options), plan.files)
    if like is not None:
        check_inputs(plan.inputs, like.inputs)
        if others := other_bytes(like.packages, begun.packages):
            run.say(others)  # before the hours that the build takes
    with locked(run.out, "build"), disk_errors(run.out):
        sealed = open_folder(run.out, begun, overwrite=run.overwrite)
        if sealed is not None:
            _check_left_out(split, sealed, run)
            report = _report(run.out, sealed, plan, started=started, finished=True)
        else:
            try:
                results = _run(plan, run)
            finally:
                remove_scratch(run.out)  # from workers that were stopped or died
            sealed = seal(run.out, plan, split, [part for part, _ in results])
            made = sum(made for part, made in results if part.shard.samples)
            report = _report(run.out, sealed, plan, started=started, made=made)
    if like is not None:
        _check_same(sealed, like)
    return report


def packages(options: BuildOptions) -> dict[str, str]:
    """Versions of the packages that decide pixels and bytes."""
    names = ["numpy", "isal", "pyspng", "simplejpeg"] + (
        ["pycocotools"] if options.masks == "instances" else []
    )
    return {"mfsynth": __version__, "opencv": cv2.__version__} | {name: version(name) for name in names}


def _run(plan: Plan, run: Run) -> list[tuple[Part, bool]]:
    """For every shard, made or kept: its side file's content, and whether it was made now."""
    jobs = [
        Job(plan.options, plan.layout, index, entries, run.out, run.strict)
        for index, entries in enumerate(plan.shards)
    ]
    finished = run_jobs(
        make_shard,
        jobs,
        workers=min(run.workers or usable_cores(), len(jobs)),
        say=run.say,
        progress=lambda done: run.progress(min(done, plan.samples), plan.samples),
    )
    return [result for _, result in sorted(finished, key=lambda pair: pair[0].index)]


def seal(out: Path, plan: Plan, split: Split, parts: list[Part]) -> Manifest:
    """Write the manifest, now that every shard is there.

    Raises:
        SourceError: If no sample could be made.
    """
    faults = [fault for part in parts for fault in part.left_out]
    samples = sum(part.shard.samples for part in parts)
    if not samples:
        raise none_usable(split.name, faults[0].image_id, faults[0].detail)
    shards = _close_up(out, split.name, [part.shard for part in parts if part.shard.samples])
    for shard in shards:  # last: by now the kernel has written most of it
        storage.sync(out / shard.name)
    manifest = Manifest(
        format=MANIFEST_FORMAT,
        split=split.name,
        samples=samples,
        options=plan.options.to_json(),
        options_fingerprint=plan.options.fingerprint,
        inputs=plan.inputs,
        packages=packages(plan.options),
        layout=plan.layout,
        shards=shards,
        licenses=_license_counts(split, parts),
        left_out=by_reason(plan.left_out, faults),
        skipped=plan.skipped,
        left_out_files={name: digest for fault in faults for name, digest in fault.files.items()},
        noted=_noted(parts),
    )
    storage.put(out / MANIFEST, manifest.to_json(), out / PARTS)
    return manifest


def _noted(parts: Iterable[Part]) -> dict[str, tuple[int, ...]]:
    """Ids of the images of which something was noted, by code."""
    ids: dict[str, list[int]] = defaultdict(list)
    for part in parts:
        for code, image_ids in part.noted.items():
            ids[code] += image_ids
    return {code: tuple(ids[code]) for code in sorted(ids)}


def _close_up(out: Path, split: str, shards: list[Shard]) -> tuple[Shard, ...]:
    """The shards, numbered without gaps: other readers name them by a range of numbers.

    If this is interrupted, the next build makes the shards again that are not where their side files say.
    """
    closed = []
    for number, shard in enumerate(shards):
        name = shard_name(split, number)
        if name != shard.name:
            (out / shard.name).replace(out / name)
        closed.append(replace(shard, name=name))
    return tuple(closed)


def _license_counts(split: Split, parts: Iterable[Part]) -> tuple[LicenseCount, ...]:
    samples: Counter[int] = Counter()
    for part in parts:
        samples.update(part.licenses)
    known = {license.id: license for license in split.licenses}
    return tuple(
        LicenseCount(
            id, known[id].name if id in known else "unknown", known[id].url if id in known else "", count
        )
        for id, count in sorted(samples.items())
    )


def _check_left_out(split: Split, manifest: Manifest, run: Run) -> None:
    """Raise if files that caused images to be left out have changed since, or if none may be left out."""
    unusable = [id for reason, ids in manifest.left_out.items() if reason != exclusions.LICENSE for id in ids]
    if run.strict and unusable:
        raise BuildError(
            f"{run.out} was made without images that could not be used: {some(unusable)}",
            STRICT_HINT,
        )
    if not manifest.left_out_files:
        return
    now = {name: file for entry in split.entries for name, file in entry.files(split.name).items()}
    changed = [name for name, digest in manifest.left_out_files.items() if file_hash(now.get(name)) != digest]
    if changed:
        raise OutputError(
            f"{run.out} is finished, but was made without images whose files have changed since: "
            + ", ".join(changed),
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
    if not differing:
        return
    raise BuildError(
        f"{len(differing):,} of {count(len(made.shards), 'shard')} differ from those in the manifest; "
        f"the first is {differing[0]}",
        other_bytes(like.packages, made.packages) or "the content of a picture or mask changed",
    )


def _report(
    out: Path, manifest: Manifest, plan: Plan, *, started: float, made: int = 0, finished: bool = False
) -> BuildReport:
    return BuildReport(
        out=out,
        samples=manifest.samples,
        shards=len(manifest.shards),
        made=made,
        kept=len(manifest.shards) - made,
        bytes=sum(shard.size for shard in manifest.shards),
        seconds=time.monotonic() - started,
        left_out=manifest.left_out,
        skipped=manifest.skipped,
        noted=manifest.noted,
        closed=manifest.options["shards"] - len(manifest.shards),
        finished=finished,
        examples=examples(manifest.left_out, exclusions_in(out), plan.faults),
    )
