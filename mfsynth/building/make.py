"""The front door of building: find COCO, then build, estimate, or verify and repair."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from mfsynth import storage
from mfsynth.building.estimate import DownloadFirst, Estimate, estimate
from mfsynth.building.ranges import ShardRange
from mfsynth.building.repair import repair
from mfsynth.building.report import BuildReport
from mfsynth.building.run import Run
from mfsynth.building.run import build as run_build
from mfsynth.coco.official.resolve import coco_folder, download_size
from mfsynth.console import count
from mfsynth.engine import LOCAL, Engine, EngineName, check_guard, open_engine
from mfsynth.errors import OptionsError
from mfsynth.options import (
    BuildOptions,
    ContentOptions,
    FrameFormat,
    Store,
    check_names,
    content_options,
    with_depth,
)
from mfsynth.order import whole_number
from mfsynth.shards.manifest import Manifest, data_set_at
from mfsynth.verification.check import verify_with
from mfsynth.verification.report import Verification

if TYPE_CHECKING:
    from mfsynth.coco.split import Masks

    Location = str | os.PathLike[str]

OUT = Path("out")
"""Default parent folder of data sets: a plain `val2017` may be COCO's own folder."""


@dataclass(frozen=True, slots=True)
class CocoLookup:
    """Where COCO is, who approves a large download, and who is notified of its progress.

    Args:
        coco: Folder with the COCO data, a local path or URL; None takes $MFSYNTH_COCO, else the user's cache
            (and fills it).
        approve: Called with a split's name and bytes before a large download; False declines it.
        say: Called with a line about what takes a while.
        progress: Called with an archive's name, bytes done and bytes to do.
        depth_maps: The user's folder of depth maps, if the data set is made from them.
    """

    coco: Path | str | None = None
    approve: Callable[[str, int], bool] = lambda _split, _size: False
    say: Callable[[str], None] = lambda _: None
    progress: Callable[[str, int, int], None] = lambda _name, _done, _total: None
    depth_maps: Path | None = None

    def folder(self, split: str, masks: Masks) -> storage.AnyPath:
        """The folder that has a split, downloaded or drawn if needed.

        Raises:
            SourceError: If the split is not where the user says, or a large download is declined.
            DownloadError: If the download fails.
        """
        return coco_folder(
            self.coco,
            split,
            masks,
            cache=storage.cache_folder(),
            approve=lambda size: self.approve(split, size),
            say=self.say,
            progress=self.progress,
        )

    def missing(self, split: str, masks: Masks) -> int:
        """Bytes that `folder` would download."""
        return download_size(self.coco, split, masks, cache=storage.cache_folder())


@dataclass(frozen=True, slots=True)
class Request:
    """A requested data set.

    Args:
        options: What decides its content.
        lookup: Where the COCO data is.
        out: Folder to make, a local path or URL; None is out/SPLIT.
        like: Manifest of a data set to reproduce.
        workers, overwrite, strict, say, progress, part: As for `Run`.
        engine, ray_address: Who makes the shards, as for `mfsynth.build`.
    """

    options: BuildOptions
    lookup: CocoLookup
    out: Path | str | None = None
    like: Manifest | None = None
    workers: int = 0
    overwrite: bool = False
    strict: bool = False
    say: Callable[[str], None] = lambda _: None
    progress: Callable[[int, int], None] = lambda _done, _total: None
    part: ShardRange | None = None
    engine: EngineName = "local"
    ray_address: str | None = None

    def run(self, engine: Engine = LOCAL) -> Run:
        """Inputs, output and how to build; this looks for COCO."""
        coco = self.lookup.folder(self.options.split, self.options.masks)
        out = self.out or OUT / self.options.split
        return Run(
            coco,
            out,
            self.workers,
            self.overwrite,
            self.strict,
            self.say,
            self.progress,
            self.lookup.depth_maps,
            self.part,
            engine,
        )


def make(request: Request) -> BuildReport:
    """Find COCO, and make a data set; see `mfsynth.building.run.build` for errors."""
    check_guard()
    with open_engine(request.engine, request.ray_address) as engine:
        return run_build(request.options, request.run(engine), request.like)


def foresee(request: Request) -> Estimate | DownloadFirst:
    """What `make` would make, or what it would download first; nothing is made or downloaded."""
    options = request.options
    missing = request.lookup.missing(options.split, options.masks)
    if missing:
        return DownloadFirst(options.split, missing)
    return estimate(options, request.run(), request.like)


def content_of(location: Location) -> tuple[BuildOptions, Manifest]:
    """The options of a data set to reproduce, and its manifest.

    Raises:
        ShardError: If there is no manifest, or it is broken.
    """
    manifest = Manifest.read(location)
    return BuildOptions.of(manifest), manifest


class DataSetOptions(ContentOptions, total=False):
    """What decides the content of a data set besides its split, as keyword arguments; see `BuildOptions`."""

    seed: int
    variants: int
    store: Store
    format: FrameFormat


def build(
    split: str,
    *,
    coco: Location | None = None,
    out: Location | None = None,
    shards: int = 0,
    workers: int = 0,
    overwrite: bool = False,
    strict: bool = False,
    like: Location | Manifest | None = None,
    shard_range: tuple[int, int] | None = None,
    depth_maps: Location | None = None,
    engine: EngineName = "local",
    ray_address: str | None = None,
    say: Callable[[str], None] = lambda _: None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
    **content: Unpack[DataSetOptions],
) -> BuildReport:
    """Make a data set or a part of one, or finish what was started with the same options; nothing is printed.

    Worker processes are spawned: in a script, call this under `if __name__ == "__main__":`.

    Args:
        split: The split's name; `demo` is drawn and needs no data.
        coco: Folder with the COCO data, a local path or the URL of one in an object store, such as
            `s3://bucket/coco`; None takes $MFSYNTH_COCO, else the user's cache, to which an official
            split of up to 3 GB is downloaded; `mfsynth download` fetches larger ones.
        out: Folder to make, a local path or the URL of one in an object store, such as
            `s3://bucket/train2017`; None is out/SPLIT.
        shards: Number of shards; 0 makes one per 1,000 samples.
        workers: Number of processes; 0 takes every core that this process may use, or that the cluster has.
        overwrite: Replace another data set in `out`.
        strict: Any unusable image is an error.
        like: A data set, or its manifest, to reproduce: it sets everything that decides content.
        shard_range: Make only the shards from the first number (included) to the second (excluded), so that
            several jobs can make a part each, at once, in the same folder. `mfsynth.merge` then seals it.
        depth_maps: Folder of depth maps, named like the pictures: planes are cut from them instead of masks.
            `depth` says what large values mean in them: `"near"` (the default with maps) or `"far"`.
        engine: Who makes the shards: `local`, the processes of this machine, or `ray` (the extra `ray`), the
            nodes of a cluster. `out` and `coco` are then on a file system that these share, or in an object
            store. The bytes are the same.
        ray_address: The Ray cluster, as HOST:PORT; None takes $RAY_ADDRESS, else the cluster of this machine,
            else starts Ray on this machine only.
        say: Called with a line about what takes a while.
        progress: Called with the number of samples done and to do.
        content: What else decides content. `preset` (`paper` or `realistic`) names a set of values; options
            that are given override it. The options, as for `mfsynth.options.BuildOptions`:
            `masks`, `seed`, `variants`, `store`, `format`, `min_area`, `licenses`, `images`, `limit`,
            `orientation`; `frames`, `planes`, `order`, `depth`, `min_sharpness`; `kernel`, `sigma`, `radius`,
            `boundary`, `fill`, `light`; `noise`, `noise_model`, `capture`, `breathing`.

    Returns:
        What was made; `print` shows it as lines.

    Raises:
        OptionsError: If an option makes no sense.
        SourceError: If the COCO data is missing or broken, or is not what `like` was made from.
        DownloadError: If a download fails.
        OutputError: If `out` holds something else or cannot be written, or another build works on it.
        MissingExtraError: If Ray is chosen and not installed.
        BuildError: If a worker died twice, the disk is full, the result is not `like`, the cluster cannot be
            used, or a script calls this without the guard.
    """
    check_guard()
    given = content if like is not None else with_depth(content, depth_maps)
    options, manifest = _following(_options(split, whole_number("shards", shards), given), like)
    return make(
        Request(
            options,
            CocoLookup(
                None if coco is None else storage.expanded(coco), say=say, depth_maps=_path(depth_maps)
            ),
            None if out is None else storage.expanded(out),
            manifest,
            whole_number("workers", workers),
            overwrite,
            strict,
            say,
            progress,
            None if shard_range is None else ShardRange.of(shard_range),
            engine,
            ray_address,
        )
    )


def _options(split: str, shards: int, content: DataSetOptions) -> BuildOptions:
    check_names(content, DataSetOptions)
    values: dict[str, Any] = dict(content)
    own = {name: values.pop(name) for name in ("variants", "store", "format") if name in values}
    if "variants" in own:
        own["variants"] = whole_number("variants", own["variants"])
    return replace(content_options(split, **values), shards=shards, **own)


def _following(
    options: BuildOptions, like: Location | Manifest | None
) -> tuple[BuildOptions, Manifest | None]:
    """The options, or those of the manifest to reproduce, which allows no others."""
    if like is None:
        return options, None
    manifest = like if isinstance(like, Manifest) else Manifest.read(like)
    if options != BuildOptions(manifest.split):
        raise OptionsError(
            "like sets everything that decides content", f"give split={manifest.split!r} and no other option"
        )
    return BuildOptions.of(manifest), manifest


def _path(location: Location | None) -> Path | None:
    return None if location is None else Path(location).expanduser()


def verify_and_repair(
    location: Location,
    lookup: CocoLookup | None,
    *,
    samples: int = 16,
    seed: int | None = None,
    workers: int = 0,
    engine: EngineName = "local",
    ray_address: str | None = None,
    say: Callable[[str], None] = lambda _: None,
    progress: Callable[[str, int, int], None] = lambda _stage, _done, _total: None,
) -> Verification:
    """Verify a data set; on request, make its bad shards again, and only those, and verify it once more.

    Args:
        location: The data set's folder, or its manifest, as a local path or URL.
        lookup: Where to find the COCO data for a repair; None repairs nothing.
        samples, seed, workers, engine, ray_address: As for `mfsynth.verify`.
        say: Called with what was wrong, and with what was made again.
        progress: Called with a stage's name, and the number of samples done and to do.

    Raises:
        ShardError: If there is no manifest, or it is broken.
        OptionsError: If a number makes no sense.
        OutputError: If the data set is to be repaired and cannot be written.
        SourceError: If the COCO data is missing, or is not what the data set was made from.
        BuildError: If a shard comes out different from what the manifest says, or the disk is full.
    """

    with open_engine(engine, ray_address) as opened:

        def check(stage: str) -> Verification:
            return verify_with(
                opened,
                location,
                samples=samples,
                seed=seed,
                workers=workers,
                say=say,
                progress=lambda done, total: progress(stage, done, total),
            )

        result = check("verifying")
        if lookup is None or not result.bad_shards:
            return result
        for line in result.problem_lines():
            say(line)
        manifest = Manifest.read(location)
        options = BuildOptions.of(manifest)
        run = Run(
            lookup.folder(options.split, options.masks),
            data_set_at(location)[0],
            workers,
            say=say,
            progress=lambda done, total: progress("repairing", done, total),
            depth_maps=lookup.depth_maps,
            engine=opened,
        )
        made = repair(manifest, result.bad_shards, run)
        say(f"rebuilt {made:,} of {count(result.shards, 'shard')}")
        return check("verifying again").after(result)
