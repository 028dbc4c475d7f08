"""The end of a build, in one process or in parts: the manifest, from what the side files say."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from mfsynth.building.parts import exclusions_in
from mfsynth.building.plan import none_usable
from mfsynth.building.report import BuildReport, by_reason, examples
from mfsynth.shards.layout import MANIFEST, PLAN, in_parts, shard_name
from mfsynth.shards.manifest import MANIFEST_FORMAT, LicenseCount, Manifest, Shard, fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mfsynth.building.folder import PlanFile
    from mfsynth.building.origin import Origin
    from mfsynth.building.parts import Exclusion, Part
    from mfsynth.coco.annotations.entries import Fault, License
    from mfsynth.storage import Folder


def seal(out: Folder, origin: Origin, planned: PlanFile, parts: Sequence[Part]) -> Manifest:
    """Write the manifest, now that every shard is there.

    Args:
        out: The data set's folder.
        origin: What all shards are made from.
        planned: What else is known of the plan.
        parts: The content of every shard's side file, in order.

    Raises:
        SourceError: If no sample could be made.
    """
    split = origin.options["split"]
    faults = [fault for part in parts for fault in part.left_out]
    samples = sum(part.shard.samples for part in parts)
    if not samples:
        raise none_usable(split, faults[0].image_id, faults[0].detail)
    shards = _close_up(out, split, [part.shard for part in parts if part.shard.samples])
    for shard in shards:  # last: by now the kernel has written most of it
        out.sync(shard.name)
    manifest = Manifest(
        format=MANIFEST_FORMAT,
        split=split,
        samples=samples,
        options=origin.options,
        options_fingerprint=fingerprint(origin.options),
        inputs=origin.inputs,
        packages=origin.packages,
        layout=planned.layout,
        shards=shards,
        licenses=_license_counts(planned.licenses, parts),
        left_out=by_reason(planned.left_out, faults),
        skipped=planned.skipped,
        left_out_files={name: digest for fault in faults for name, digest in fault.files.items()},
        noted=noted_in(parts),
    )
    out.write(MANIFEST, manifest.to_json())
    out.remove(in_parts(PLAN))
    out.sweep()
    return manifest


def noted_in(parts: Iterable[Part]) -> dict[str, tuple[int, ...]]:
    """Ids of the images of which something was noted, by code."""
    ids: dict[str, list[int]] = defaultdict(list)
    for part in parts:
        for code, image_ids in part.noted.items():
            ids[code] += image_ids
    return {code: tuple(ids[code]) for code in sorted(ids)}


def _close_up(out: Folder, split: str, shards: list[Shard]) -> tuple[Shard, ...]:
    """The shards, numbered without gaps: other readers name them by a range of numbers.

    If this is interrupted, the next build makes the shards again that are not where their side files say.
    """
    closed = []
    for number, shard in enumerate(shards):
        name = shard_name(split, number)
        if name != shard.name:
            out.move(shard.name, name)
        closed.append(replace(shard, name=name))
    return tuple(closed)


def _license_counts(licenses: Iterable[License], parts: Iterable[Part]) -> tuple[LicenseCount, ...]:
    samples: Counter[int] = Counter()
    for part in parts:
        samples.update(part.licenses)
    known = {license.id: license for license in licenses}
    return tuple(
        LicenseCount(
            id, known[id].name if id in known else "unknown", known[id].url if id in known else "", count
        )
        for id, count in sorted(samples.items())
    )


def sealed_report(
    out: Folder,
    manifest: Manifest,
    faults: Sequence[Fault] = (),
    found: Iterable[Exclusion] | None = None,
) -> BuildReport:
    """What there is to say about a sealed data set, as if each of its shards had been there before.

    Args:
        out: The data set's folder.
        manifest: Its manifest.
        faults: What is wrong with the annotations.
        found: Images that turned out unusable; None asks the side files.
    """
    if found is None:
        found = exclusions_in(out) if manifest.left_out else ()
    return BuildReport(
        out=out.shown,
        samples=manifest.samples,
        shards=len(manifest.shards),
        made=0,
        kept=len(manifest.shards),
        bytes=sum(shard.size for shard in manifest.shards),
        seconds=0.0,
        left_out=manifest.left_out,
        skipped=manifest.skipped,
        noted=manifest.noted,
        closed=manifest.options["shards"] - len(manifest.shards),
        examples=examples(manifest.left_out, found, faults),
    )
