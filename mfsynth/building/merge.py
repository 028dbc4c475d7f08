"""The end of a build in parts: check that every shard is there and made from the same, then seal."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mfsynth.building.claims import EVERY_SHARD, claimed
from mfsynth.building.folder import (
    INCOMPLETE,
    check_parts,
    disk_errors,
    has_every_shard,
    output_at,
    read_build_file,
    read_manifest,
    read_plan_file,
)
from mfsynth.building.origin import differences, version_differences
from mfsynth.building.parts import is_told, read_parts
from mfsynth.building.ranges import ranges_of
from mfsynth.building.seal import seal, sealed_report
from mfsynth.console import count, some
from mfsynth.engine import check_guard, run_jobs, usable_cores
from mfsynth.errors import OutputError
from mfsynth.locks import locked
from mfsynth.options import BuildOptions
from mfsynth.options.command import build_command
from mfsynth.order import whole_number
from mfsynth.shards.layout import BUILD, PARTS, shard_name
from mfsynth.storage import expanded

if TYPE_CHECKING:
    import os

    from mfsynth.building.folder import BuildFile, PlanFile
    from mfsynth.building.origin import Origin
    from mfsynth.building.parts import Part
    from mfsynth.building.report import BuildReport
    from mfsynth.shards.manifest import Manifest
    from mfsynth.storage import Folder

_SHOWN = 5


def merge(
    out: str | os.PathLike[str],
    *,
    workers: int = 0,
    say: Callable[[str], None] = lambda _: None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> BuildReport:
    """Seal a data set whose parts were made with `shard_range`; nothing is printed.

    Every shard is read once and compared with its side file. The result is the folder that one build makes,
    byte for byte. The COCO data is not needed.

    Worker processes are spawned: in a script, call this under `if __name__ == "__main__":`.

    Args:
        out: The data set's folder, a local path or the URL of one in an object store.
        workers: Number of processes; 0 takes every core that this process may use.
        say: Called with a line about what takes a while.
        progress: Called with the number of shards checked and to check.

    Returns:
        What there is now; `finished` if it was sealed before.

    Raises:
        OutputError: If there are no parts, shards are missing or damaged, parts were made from other options,
            data or package versions than others, the folder cannot be written, or a part is being made.
        SourceError: If no image of any part can be used.
    """
    check_guard()
    folder, started = output_at(expanded(out)), time.monotonic()
    number = whole_number("workers", workers) or usable_cores()
    with locked(folder.shown, "build"), disk_errors(folder):
        sealed = _sealed(folder)
        if sealed is None:
            begun, planned = _begun(folder)
            with claimed(folder, EVERY_SHARD, say) as claim:
                parts = _parts(folder, begun, planned, number, say, progress)
                folder.sweep()
                claim.check()
                made = seal(folder, begun, planned, parts)
            left_out = [each for part in parts for each in part.left_out]
            report = sealed_report(folder, made, found=left_out)
        else:
            report = replace(sealed_report(folder, sealed), finished=True)
    return replace(report, seconds=time.monotonic() - started, merged=True)


def _sealed(out: Folder) -> Manifest | None:
    """The manifest, if there is one and every shard is there."""
    if not out.exists():
        raise OutputError(f"there is no folder {out}", "give the --out of the parts")
    check_parts(out)
    sealed = read_manifest(out)
    if sealed is not None and not has_every_shard(out, sealed):
        raise OutputError(f"{out} is sealed, but shards are missing or of another size", INCOMPLETE)
    return sealed


def _begun(out: Folder) -> tuple[BuildFile, PlanFile]:
    """What the parts say that they are parts of."""
    begun, planned = read_build_file(out), read_plan_file(out)
    if begun is None or planned is None:
        raise OutputError(
            f"{out} holds no part of a data set",
            "make parts with `mfsynth build --shard-range`; a build without it seals the data set itself",
        )
    return begun, planned


@dataclass(frozen=True, slots=True)
class _Check:
    """A shard to compare with its side file."""

    out: Folder
    index: int
    part: Part
    images: tuple[int, ...]
    variants: int

    @property
    def name(self) -> str:
        """The shard's name."""
        return self.part.shard.name


def _parts(
    out: Folder,
    begun: BuildFile,
    planned: PlanFile,
    workers: int,
    say: Callable[[str], None],
    progress: Callable[[int, int], None],
) -> list[Part]:
    """What the side files say; all shards are there, whole, and made from the same.

    Raises:
        OutputError: If they are not.
    """
    split, variants = begun.options["split"], begun.options["variants"]
    parts = read_parts(out, [shard_name(split, index) for index in range(len(planned.images))])
    _check_origins(out, begun, parts)
    _check_complete(out, begun, [index for index, part in enumerate(parts) if part is None], "is without")
    whole = [part for part in parts if part is not None]
    jobs = [
        _Check(out, index, part, images, variants)
        for index, (part, images) in enumerate(zip(whole, planned.images, strict=True))
    ]
    checked = run_jobs(
        _is_right,
        jobs,
        workers=min(workers, len(jobs)),
        say=say,
        progress=lambda done: progress(min(done, len(jobs)), len(jobs)),
    )
    _check_complete(out, begun, sorted(job.index for job, right in checked if not right), "has damaged")
    return whole


def _is_right(job: _Check, advance: Callable[[int], None]) -> bool:
    with disk_errors(job.out, job.name):
        right = is_told(job.out, job.part, job.images, job.variants)
    advance(1)
    return right


def _check_complete(out: Folder, begun: BuildFile, missing: list[int], what: str) -> None:
    """Raise if shards are missing; the error says how to make them."""
    if not missing:
        return
    ranges = ranges_of(missing)
    command = build_command(BuildOptions.from_json(begun.options))
    total = count(begun.options["shards"], "shard")
    raise OutputError(
        f"{out} {what} shards {some(ranges)} of {total}",
        "make them with the command that made the other parts, such as\n"
        + "\n".join(f"{command} --shard-range {each} --out {out}" for each in ranges[:_SHOWN]),
    )


def _check_origins(out: Folder, begun: BuildFile, parts: list[Part | None]) -> None:
    """Raise if shards were made from something else than the folder's build file says."""
    others: dict[tuple[str, ...], list[int]] = {}
    for index, part in enumerate(parts):
        if part is not None and part.origin is not None:
            told = tuple(_differences(part.origin, begun))
            if told:
                others.setdefault(told, []).append(index)
    if not others:
        return
    lines = [
        f"shards {some(ranges_of(indices))}: {difference}"
        for told, indices in others.items()
        for difference in told
    ]
    ranges = ranges_of(sorted(index for indices in others.values() for index in indices))
    raise OutputError(
        f"the parts in {out} are not of one data set, which {PARTS}/{BUILD} describes:\n  "
        + "\n  ".join(lines),
        "make these shards again with the options, data and packages of the others, "
        f"by --shard-range {some(ranges)}",
    )


def _differences(origin: Origin, begun: BuildFile) -> list[str]:
    words = {"there_is": "in these", "now_is": "in the others"}
    return [*differences(origin, begun, **words), *version_differences(origin, begun, **words)]
