"""Whether a data set is what its manifest says: bytes, names, members, schema, pixels."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import cv2
import numpy as np

from mfsynth import codecs, storage
from mfsynth.console import count
from mfsynth.engine import Engine, EngineName, Shared, check_guard, check_machines, open_engine
from mfsynth.errors import MfsynthError, NotThereError, ShardError
from mfsynth.options import BuildOptions
from mfsynth.order import some_of, whole_number
from mfsynth.sample import SegmentInfo
from mfsynth.shards import tar
from mfsynth.shards.checked import wrong_bytes
from mfsynth.shards.layout import CERTAIN, MANIFEST, NEAREST, RECIPE, SEGMENTS, Layout, is_ours
from mfsynth.shards.manifest import Manifest, Shard, data_set_at
from mfsynth.shards.pixels import read_sample, read_scene
from mfsynth.synthesis.draw import DrawOptions, draw
from mfsynth.synthesis.render import render
from mfsynth.synthesis.traits import traits_of
from mfsynth.verification.claims import Held, contradictions, disagreements
from mfsynth.verification.report import Comparison, Problem, Verification
from mfsynth.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mfsynth.sample import FocusMap, Picture, Recipe, Sample, Scene, Traits
    from mfsynth.shards.tar import Packed

_SEEDS = 100_000
_BLOCK = 16


@dataclass(frozen=True, slots=True)
class VerifyJob:
    """One shard to check; `again` are the places of the samples to render again."""

    folder: str | os.PathLike[str]
    shard: Shard
    layout: Layout
    draw: DrawOptions
    again: frozenset[int]

    @property
    def name(self) -> str:
        """The shard's name."""
        return self.shard.name


@dataclass(frozen=True, slots=True)
class ShardResult:
    """What a check found and what the shard holds; its first and last key tell the order of shards."""

    problems: tuple[Problem, ...]
    keys: tuple[str, str] | None = None
    held: Held = field(default_factory=Held)
    comparison: Comparison = field(default_factory=Comparison)
    targets: Comparison = field(default_factory=Comparison)
    rendered: int = 0


def verify(
    location: str | os.PathLike[str],
    *,
    samples: int = 16,
    seed: int | None = None,
    workers: int = 0,
    engine: EngineName = "local",
    ray_address: str | None = None,
    say: Callable[[str], None] = lambda _: None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Verification:
    """Check every byte and member of a data set, draw every recipe again, and render some.

    Nothing is printed. Worker processes are spawned: in a script, call this under
    `if __name__ == "__main__":`.

    Args:
        location: The data set's folder, or its manifest, as a local path or URL. A shard at a URL is
            copied to TMPDIR while it is checked.
        samples: How many samples to render again from what their recipes say.
        seed: Chooses these samples; None takes a random one.
        workers: Number of processes; 0 takes all cores, of this machine or of the cluster.
        engine: `local`, or `ray` (the extra `ray`) for a cluster; its nodes share the folder's file system,
            unless it is at a URL.
        ray_address: The cluster, as HOST:PORT; None takes $RAY_ADDRESS, else the cluster of this machine,
            else starts Ray on this machine only.
        say: Called with a line when a worker dies.
        progress: Called with the number of samples checked and to check.

    Returns:
        What was found; `print` shows it as lines.

    Raises:
        ShardError: If there is no manifest, it is broken, or a shard at a URL cannot be fetched.
        OptionsError: If an option makes no sense.
        MissingExtraError: If Ray is chosen and not installed.
        BuildError: If a worker died twice, the cluster cannot be used, or a script calls this without the
            guard.
    """
    with open_engine(engine, ray_address) as opened:
        return verify_with(
            opened, location, samples=samples, seed=seed, workers=workers, say=say, progress=progress
        )


def verify_with(
    engine: Engine,
    location: str | os.PathLike[str],
    *,
    samples: int,
    seed: int | None,
    workers: int,
    say: Callable[[str], None],
    progress: Callable[[int, int], None],
) -> Verification:
    """`verify` on an engine that is open."""
    check_guard()
    samples, workers = whole_number("samples", samples), whole_number("workers", workers)
    (folder, file), manifest = data_set_at(location), Manifest.read(location)
    remedy = (
        "all nodes must share its file system: copy the data set to one or to an object store, or use the "
        "engine of this machine"
    )
    check_machines(engine, [Shared(file, storage.shown(file), remedy)], _versions, say)
    seed = secrets.randbelow(_SEEDS) if seed is None else seed
    jobs = _jobs(folder, manifest, set(some_of(manifest.samples, samples, "verify", seed)))
    results = {
        job.name: result
        for job, result in engine.run(
            verify_shard,
            jobs,
            workers=workers,
            say=say,
            progress=lambda done: progress(min(done, manifest.samples), manifest.samples),
        )
    }
    return _gathered(folder, manifest, seed, [results[shard.name] for shard in manifest.shards])


def _versions() -> dict[str, str]:
    """What must be the same on all machines: another release might look for other things."""
    return {"mfsynth": __version__}


def _gathered(folder: str, manifest: Manifest, seed: int, ordered: list[ShardResult]) -> Verification:
    """The results of all shards, in their order, as one."""
    in_shards = [problem for result in ordered for problem in result.problems]
    in_shards += _misplaced(manifest, ordered)
    claims = contradictions(manifest)
    if not in_shards:  # else they would be told of twice
        claims += disagreements(manifest, Held.together(result.held for result in ordered))
    return Verification(
        location=storage.shown(folder),
        shards=len(manifest.shards),
        samples=manifest.samples,
        seed=seed,
        rendered=sum(result.rendered for result in ordered),
        comparison=sum((result.comparison for result in ordered), Comparison()),
        targets=sum((result.targets for result in ordered), Comparison()),
        problems=(
            *(Problem("", f"{MANIFEST} {claim}") for claim in claims),
            *in_shards,
            *_strays(folder, manifest),
        ),
        empty_shards=tuple(shard.name for shard in manifest.shards if not shard.samples),
    )


def _jobs(folder: str, manifest: Manifest, chosen: set[int]) -> list[VerifyJob]:
    """One job per shard; `chosen` are the places of the samples to render again, among all."""
    options = BuildOptions.of(manifest)
    jobs, before = [], 0
    for shard in manifest.shards:
        again = frozenset(place - before for place in chosen if before <= place < before + shard.samples)
        jobs.append(VerifyJob(folder, shard, manifest.layout, options.draw, again))
        before += shard.samples
    return jobs


def _misplaced(manifest: Manifest, results: list[ShardResult]) -> list[Problem]:
    problems, last = [], ""
    for shard, result in zip(manifest.shards, results, strict=True):
        if result.keys is not None:
            if result.keys[0] <= last:
                problems.append(Problem(shard.name, f"sample {result.keys[0]} does not follow {last}"))
            last = result.keys[1]
    return problems


def _strays(folder: str, manifest: Manifest) -> list[Problem]:
    known = {shard.name for shard in manifest.shards}
    return [
        Problem("", f"{name} is not in the manifest")
        for name in storage.names_in(folder)
        if name.endswith(".tar") and is_ours(name) and name not in known
    ]


# --- one shard, in a worker ---------------------------------------------------------------------------


def verify_shard(job: VerifyJob, advance: Callable[[int], None]) -> ShardResult:
    """Check one shard: size and hash first, then every sample."""
    cv2.setNumThreads(1)
    problems: list[Problem] = []
    checks = _Checks(job, problems, advance)
    try:
        with storage.local_copy(storage.join(job.folder, job.name)) as path:
            _check_file(path, checks)
    except (FileNotFoundError, NotThereError):
        return ShardResult((Problem(job.name, "is missing"),))
    if checks.count != job.shard.samples and not problems:
        problems.append(
            Problem(
                job.name, f"holds {count(checks.count, 'sample')}, the manifest says {job.shard.samples:,}"
            )
        )
    keys = (checks.first, checks.last) if checks.count else None
    return ShardResult(tuple(problems), keys, checks.held, checks.comparison, checks.targets, checks.rendered)


def _check_file(path: Path, checks: _Checks) -> None:
    """Check a shard's file. What is wrong with it is noted; that it is not there is an error."""
    job, problems = checks.job, checks.problems
    try:
        with storage.open_regular(path) as file:
            if problem := wrong_bytes(file, job.shard):
                problems.append(Problem(job.name, problem))
            size = os.fstat(file.fileno()).st_size
            for place, packed in enumerate(tar.samples(file, job.name, size)):
                checks.sample(packed, again=place in job.again)
                checks.advance(1)
    except FileNotFoundError:
        raise
    except OSError as error:
        problems.append(Problem(job.name, f"cannot be read: {error.strerror or error}"))
    except ShardError as error:
        problems.append(Problem(job.name, str(error).removeprefix(f"{job.name} ")))


class _Checks:
    """Checks the samples of one shard, one after another."""

    def __init__(self, job: VerifyJob, problems: list[Problem], advance: Callable[[int], None]) -> None:
        self.job = job
        self.problems = problems
        self.advance = advance
        self.count = self.rendered = 0
        self.first = self.last = ""
        self.comparison, self.targets = Comparison(), Comparison()
        self.held = Held()

    def sample(self, packed: Packed, *, again: bool) -> None:
        """Check one sample; `again` renders it once more."""
        if packed.key <= self.last:
            self._report(packed, f"does not follow {self.last}")
        self.first, self.last = self.first or packed.key, packed.key
        self.count += 1
        try:
            scene = self._scene(packed)
            self.held.add(scene.recipe)
            stored = self._stored(packed, scene)
            if again:
                self._render_again(scene, stored)
        except (MfsynthError, ValueError) as error:
            self._report(packed, str(error))

    def _scene(self, packed: Packed) -> Scene:
        layout = self.job.layout
        if tuple(packed.members) != layout.fields:
            raise ShardError(f"has members {', '.join(packed.members)}, not {', '.join(layout.fields)}")
        scene = read_scene(packed, layout)
        recipe = scene.recipe
        if recipe.to_json() != packed.members[RECIPE]:
            raise ShardError("its recipe has fields, or a form, that the format does not have")
        if layout.gt == "jpg" and codecs.orientation_of(packed.members[layout.gt_field]) != 1:
            raise ShardError("its ground truth has an orientation tag")
        _check_segments(scene)
        _check_draw(scene, self.job.draw)
        return scene

    def _stored(self, packed: Packed, scene: Scene) -> Sample | None:
        """The sample as stored, None in a recipe store; its focus map is compared here."""
        if self.job.layout.store == "recipe":
            return None
        stored = read_sample(packed, self.job.layout, scene, None)
        if not np.array_equal(stored.focus, scene.focus()):
            raise ShardError("its focus map is not the one that its recipe gives")
        return stored

    def _render_again(self, scene: Scene, stored: Sample | None) -> None:
        sample = render(scene)
        self.rendered += 1
        if stored is None:
            return
        self._compare_frames(stored, sample)
        if self.job.layout.targets:
            self._compare_map(NEAREST, stored.nearest, sample.nearest)
            self._compare_map(CERTAIN, stored.certain, sample.certain)

    def _compare_frames(self, stored: Sample, sample: Sample) -> None:
        """Compare frames: exact ones by their values, those that passed through a JPEG by its blocks."""
        exact, packed, blocks = Comparison(), Comparison(), 0
        for number, (kept, frame) in enumerate(zip(stored.frames, sample.frames, strict=True)):
            again = _as_stored(frame, self.job.layout)
            if _is_compressed(number, sample.recipe, self.job.layout):
                packed += compare(kept, again)
                blocks += differing_blocks(kept, again)
            else:
                exact += compare(kept, again)
        self.comparison += exact + packed
        if not (exact.tolerable and packed.few_blocks(blocks)):
            whole = exact + packed
            raise ShardError(
                f"rendered again, {whole.differing} of {whole.values} values differ, "
                f"by up to {whole.largest} gray levels"
            )

    def _compare_map(self, field: str, stored: FocusMap, rendered: FocusMap) -> None:
        compared = compare(stored, rendered)
        self.targets += compared
        if not compared.few(compared.differing):
            raise ShardError(
                f"rendered again, {compared.differing} of {compared.values} pixels of {field} differ"
            )

    def _report(self, packed: Packed, text: str) -> None:
        self.problems.append(Problem(self.job.name, f"sample {packed.key}: {text}"))


def compare(stored: Picture, rendered: Picture) -> Comparison:
    """Count the values in which two frames or maps differ."""
    difference = cv2.absdiff(stored, rendered)
    return Comparison(difference.size, int(np.count_nonzero(difference)), int(difference.max()))


def differing_blocks(stored: Picture, rendered: Picture) -> int:
    """Count the blocks of 16 x 16 pixels in which two frames differ."""
    differs = (stored != rendered).any(axis=2)
    rows, columns = (-(-side // _BLOCK) * _BLOCK - side for side in differs.shape)
    whole = np.pad(differs, ((0, rows), (0, columns)))
    blocks = whole.reshape(whole.shape[0] // _BLOCK, _BLOCK, -1, _BLOCK)
    return int(blocks.any(axis=(1, 3)).sum())


def _is_compressed(number: int, recipe: Recipe, layout: Layout) -> bool:
    """Whether a frame was a JPEG at some time: in the store, or in the camera that its recipe describes."""
    return layout.frame == "jpg" or (recipe.optics is not None and recipe.optics.frames[number].quality > 0)


def _as_stored(frame: Picture, layout: Layout) -> Picture:
    """The frame as the store returns it: JPEG frames are compared after encoding."""
    return frame if layout.frame == "png" else codecs.decode_picture(codecs.encode_jpeg(frame))


def _check_segments(scene: Scene) -> None:
    segments = scene.recipe.segments
    counts = np.bincount(scene.segments.ravel(), minlength=len(segments)).tolist()
    if counts != [segment.area for segment in segments]:
        raise ShardError(f"{SEGMENTS} does not have the areas that the recipe gives")
    if [segment.index for segment in segments] != list(range(len(segments))):
        raise ShardError("its recipe does not number the segments from 0")
    ids = [segment.id for segment in segments]
    if ids != sorted(set(ids)):
        raise ShardError("its recipe does not list the segments by ascending id")


def _check_draw(scene: Scene, options: DrawOptions) -> None:
    """Draw a recipe again, from what picture and segment map say of the segments."""
    recipe = scene.recipe
    infos = [SegmentInfo(s.index, s.id, s.category_id, s.iscrowd, s.area) for s in recipe.segments]
    traits: tuple[Traits, ...] = ()
    if options.optical != (recipe.optics is not None):
        raise ShardError(f"its recipe has format {recipe.format}, which the options do not give")
    if recipe.optics is not None:  # which categories are stuff is only in the annotations
        told = zip(infos, recipe.optics.segments, strict=True)
        stuff = {info.category_id for info, each in told if each.stuff}
        traits = traits_of(scene.picture, scene.segments, infos, stuff, options)
        if traits != recipe.optics.segments:
            raise ShardError("its recipe does not have the traits of its segments")
    if draw(recipe.image, infos, options, recipe.variant, traits) != recipe:
        raise ShardError("its recipe is not what its seed draws")
