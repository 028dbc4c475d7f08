"""Speed and memory of a build, compared with the sum of its unavoidable steps and with a naive script.

    python scripts/bench_build.py --coco ../shared/coco --split val2017

Everything is measured in one run on the same pictures, ours and the floor in turn, shard by shard, so that
ratios hold on shared, noisy machines. The floor is the sum of the unavoidable steps, each done by the fastest
exact method known, on prepared data: no Python between the steps, no objects, no checks. The result is
printed as Markdown.
"""

from __future__ import annotations

import io
import json
import os
import platform
import random
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import astuple, dataclass, replace
from functools import partial
from importlib.util import find_spec
from itertools import chain, count, islice, repeat
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import click
import cv2
import numpy as np
from bench_floor import Item, Rate, Step, prepare, steps
from bench_optics import optical_steps

import mfsynth
from mfsynth import storage
from mfsynth.building.folder import output_at
from mfsynth.building.origin import Origin
from mfsynth.building.plan import Plan, make_plan
from mfsynth.building.run import Run, build, packages
from mfsynth.building.work import Job, make_shard
from mfsynth.coco.official.resolve import coco_folder
from mfsynth.coco.split import Split, read_split
from mfsynth.engine import LOCAL, Engine, open_engine
from mfsynth.options import BuildOptions, preset_options
from mfsynth.shards.checked import wrong_bytes
from mfsynth.shards.layout import PARTS

ROUNDS, SHARDS = 3, 10
TRAIN_IMAGES = 118_287
STEP_HEAD = "step", "per", "floor, ms", "ours on its own, ms"
RATE_HEAD = "", "floor, ms per sample", "ours", "samples/s/core", "MB/s", "floor / ours"
OPTICS = {"realistic pairs": 2, "realistic stacks of 6": 6}
"""Number of frames of what is built with `--preset realistic`."""


# --- ours, and the naive script -----------------------------------------------------------------------


def pipeline(plan: Plan, folder: Path, number: int) -> tuple[float, int]:
    """Our build of a shard in this process: seconds and bytes."""
    (folder / PARTS).mkdir(parents=True)
    origin = Origin(plan.options.to_json(), plan.inputs, packages(plan.options))
    started = time.perf_counter()
    job = Job(plan.options, plan.layout, number, tuple(plan.shards[number]), origin, output_at(folder))
    part, _made = make_shard(job, lambda _: None)
    seconds = time.perf_counter() - started
    shutil.rmtree(folder)
    return seconds, part.shard.size


_READERS: dict[Path, tuple[mfsynth.DataSet[mfsynth.Sample], Iterator[mfsynth.Sample]]] = {}
"""Open data sets, and their samples without end, by folder."""


def reading(folder: Path, number: int) -> tuple[float, int]:
    """Read a shard of a data set in this process: seconds, and no bytes. Hashes were compared before."""
    if folder not in _READERS:
        data = mfsynth.open(folder)
        assert sum(1 for _ in data) == len(data)
        _READERS[folder] = data, chain.from_iterable(repeat(data))
    data, samples = _READERS[folder]
    started = time.perf_counter()
    for _ in islice(samples, data.manifest.shards[number].samples):
        pass
    return time.perf_counter() - started, 0


@contextmanager
def worker() -> Iterator[Callable[..., tuple[float, int]]]:
    """Calls functions in a process of its own, which what is prepared for the floor does not slow."""
    with ProcessPoolExecutor(1, get_context("spawn"), cv2.setNumThreads, (1,)) as pool:
        yield lambda call, *given: pool.submit(call, *given).result()


def hashing(folder: Path) -> tuple[float, float]:
    """Comparing shards' hashes, as on their first reading: milliseconds per sample, megabytes per second."""
    manifest = mfsynth.open(folder).manifest
    seconds = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for shard in manifest.shards:
            with storage.open_file(storage.join(folder, shard.name)) as file:
                wrong_bytes(file, shard)
        seconds.append(time.perf_counter() - started)
    middle = median(seconds)
    return middle / manifest.samples * 1e3, sum(shard.size for shard in manifest.shards) / middle / 1e6


def naive(items: Sequence[Item]) -> float:
    """What research code does, with Pillow, SciPy, Pillow's PNG and tarfile: milliseconds per sample."""
    from PIL import Image
    from scipy.ndimage import gaussian_filter

    rng = random.Random(0)
    started = time.perf_counter()
    with tarfile.open(fileobj=io.BytesIO(), mode="w") as archive:
        for item in items:
            picture = np.asarray(Image.open(io.BytesIO(item.jpeg)).convert("RGB")) / 255.0
            mask = np.asarray(Image.open(io.BytesIO(item.mask)).convert("RGB")).astype(np.int64)
            ids = mask[..., 0] + 256 * mask[..., 1] + 65536 * mask[..., 2]
            chosen = [id for id in np.unique(ids) if rng.random() < 0.5]
            focus = np.isin(ids, chosen)[..., None]
            sigma = rng.uniform(1, 5)
            blurred = np.stack([gaussian_filter(picture[..., c], sigma) for c in range(3)], axis=-1)
            for frame in (np.where(focus, blurred, picture), np.where(focus, picture, blurred)):
                file = io.BytesIO()
                Image.fromarray(np.round(frame * 255).astype(np.uint8)).save(file, format="png")
                info = tarfile.TarInfo("frame.png")
                info.size = file.tell()
                file.seek(0)
                archive.addfile(info, file)
    return (time.perf_counter() - started) / len(items) * 1e3


@dataclass(frozen=True, slots=True)
class Builds:
    """Builds of the same data set with one and two workers: seconds of each, the least of all rounds.

    Attributes:
        start: Until a build with one worker begins with its first sample, and after its last.
        one, two: With one and two workers of this machine, without that.
        ray: Of Ray; None where it is not installed.
    """

    start: float
    one: float
    two: float
    ray: Cluster | None


@dataclass(frozen=True, slots=True)
class Cluster:
    """Seconds that Ray takes on this machine, with two CPUs.

    Attributes:
        start: Starting the cluster.
        connection: Connecting to it.
        first: The first build of two samples, for which Ray starts its workers.
        two: The whole build with two workers, without what a build of two samples takes then.
    """

    start: float
    connection: float
    first: float
    two: float


def builds(options: BuildOptions, coco: Path, scratch: Path) -> Builds:
    """Builds with one worker, two, and two on Ray, in turn; other work on the machine only adds time."""
    whole, folders = replace(options, shards=16), count()

    def run(workers: int, limit: int = 0, engine: Engine = LOCAL) -> float:
        made = replace(whole, variants=1, limit=limit, shards=limit) if limit else whole
        started = time.perf_counter()
        build(made, Run(coco, scratch / f"build{next(folders)}", workers=workers, engine=engine))
        return time.perf_counter() - started

    installed = find_spec("ray") is not None
    local, clusters = [], []
    for _ in range(2):
        local.append((run(1, 1), run(2, 2), run(1), run(2)))
        clusters += [astuple(on_ray(run))] if installed else []
    start_1, start_2, one, two = map(min, zip(*local, strict=True))
    ray = Cluster(*map(min, zip(*clusters, strict=True))) if clusters else None
    return Builds(start_1, one - start_1, two - start_2, ray)


def on_ray(run: Callable[[int, int, Engine], float]) -> Cluster:
    """Start a cluster of one node, build there, and end it; `run` times a build of that many images."""
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}  # as our own workers run
    from ray.cluster_utils import Cluster as Nodes

    began = time.perf_counter()
    nodes = Nodes(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    try:
        started = time.perf_counter()
        with open_engine("ray", nodes.address) as engine:
            connected = time.perf_counter()
            first, small, whole = (run(2, limit, engine) for limit in (2, 2, 0))
    finally:
        nodes.shutdown()  # type: ignore[no-untyped-call]
    return Cluster(started - began, connected - started, first, whole - small)


def build_rows(made: Builds) -> list[tuple[str, str]]:
    """Rows about start-up, and about two workers."""
    rows = [
        ("start-up of a build, s", f"{made.start:.2f}"),
        ("speed of two workers against one", f"{made.one / made.two:.2f}"),
    ]
    if made.ray:
        rows += [
            (
                "speed of two workers on Ray against two without, once they run",
                f"{made.two / made.ray.two:.2f}",
            ),
            ("start-up of a Ray cluster of one node, s", f"{made.ray.start:.2f}"),
            ("connection to it, s", f"{made.ray.connection:.2f}"),
            ("first build of two samples on it, s", f"{made.ray.first:.2f}"),
        ]
    return rows


# --- memory -------------------------------------------------------------------------------------------

# Not getrusage: a child's ru_maxrss starts at that of its parent.
PEAK = "print(*[l.split()[1] for l in open('/proc/self/status') if l.startswith('VmHWM')])"

WORKER = """
import sys; from pathlib import Path
from mfsynth.options import BuildOptions; from mfsynth.building.plan import make_plan
from mfsynth.building.work import Job, make_shard; from mfsynth.coco.split import read_split
from mfsynth.building.folder import output_at
from mfsynth.building.origin import Origin; from mfsynth.building.run import packages
from mfsynth.options import preset_options
coco, split, out, variants, limit, preset, frames = sys.argv[1:]
(Path(out) / ".parts").mkdir(parents=True)
read = read_split(Path(coco), split, cache=Path(out))
plan = make_plan(read, BuildOptions(split, variants=int(variants), limit=int(limit),
                 frames=int(frames), **preset_options(preset)))
entries = tuple(entry for shard in plan.shards for entry in shard)
origin = Origin(plan.options.to_json(), plan.inputs, packages(plan.options))
make_shard(Job(plan.options, plan.layout, 0, entries, origin, output_at(out)), lambda _: None)
"""

PARENT = """
import sys; from pathlib import Path
from mfsynth.options import BuildOptions; from mfsynth.building.plan import make_plan
from mfsynth.building.run import BuildFile, packages; from mfsynth.coco.split import read_split
import msgspec
plan = make_plan(read_split(Path(sys.argv[1]), "train", cache=Path(".")), BuildOptions("train"))
msgspec.json.encode(BuildFile(plan.options.to_json(), plan.inputs, packages(plan.options), plan.files))
assert plan.samples > 118000
"""


def peak_megabytes(code: str, *arguments: object) -> float:
    """Peak resident memory of a program, in MB."""
    command = [sys.executable, "-c", code + PEAK, *map(str, arguments)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return int(output.split()[-1]) * 1024 / 1e6


def write_train(root: Path) -> None:
    """Write annotations of as many images and segments as train2017 has, with an empty file for each."""
    rng = random.Random(0)
    for folder in ("train", "panoptic_train", "annotations"):
        (root / folder).mkdir(parents=True)
    images, annotations = [], []
    for number in range(TRAIN_IMAGES):
        id = 5 * number + 9
        (root / "train" / f"{id:012d}.jpg").touch()
        (root / "panoptic_train" / f"{id:012d}.png").touch()
        url = f"http://images.cocodataset.org/train2017/{id:012d}.jpg"
        image = {"license": 4, "file_name": f"{id:012d}.jpg", "coco_url": url, "height": 480, "width": 640}
        images.append(image | {"date_captured": "2013-11-14 11:18:45", "flickr_url": url, "id": id})
        segments = [
            {
                "id": s,
                "category_id": 1,
                "iscrowd": 0,
                "bbox": [1, 2, 300, 200],
                "area": rng.randrange(9000, 28000),
            }
            for s in rng.sample(range(1, 1 << 24), rng.randrange(6, 17))
        ]
        annotations.append({"segments_info": segments, "file_name": f"{id:012d}.png", "image_id": id})
    content = {"info": {}, "licenses": [], "images": images, "annotations": annotations, "categories": []}
    with (root / "annotations" / "panoptic_train.json").open("w") as file:
        json.dump(content, file)


def memory(coco: Path, split: str, scratch: Path) -> list[tuple[str, str]]:
    """Rows about peak memory: a worker with few and many images, a parent with as much as train2017 has."""
    few = peak_megabytes(WORKER, coco, split, scratch / "few", 2, 10, "paper", 2)
    many = peak_megabytes(WORKER, coco, split, scratch / "many", 10, 0, "paper", 2)
    stacks = peak_megabytes(WORKER, coco, split, scratch / "stacks", 1, 0, "realistic", 6)
    write_train(scratch / "train")
    size = (scratch / "train" / "annotations" / "panoptic_train.json").stat().st_size / 1e6
    parent = peak_megabytes(PARENT, scratch / "train")
    return [
        ("worker, 20 samples of 10 images", f"{few:.0f} MB"),
        ("worker, 10 samples of every image", f"{many:.0f} MB"),
        ("worker, a realistic stack of 6 of every image", f"{stacks:.0f} MB"),
        (f"parent, {TRAIN_IMAGES:,} images in {size:.0f} MB of annotations", f"{parent:.0f} MB"),
    ]


# --- the report ---------------------------------------------------------------------------------------


def processor() -> str:
    """The processor's name."""
    info = Path("/proc/cpuinfo")
    names = [
        line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
    ]
    return names[0] if names else platform.processor()


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    """Print a Markdown table."""
    click.echo("\n| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for row in rows:
        click.echo("| " + " | ".join(row) + " |")


def step_rows(steps_: Iterable[Step]) -> Iterable[tuple[str, ...]]:
    """A row for each step."""
    for step in steps_:
        ours = f"{step.our_times.ms:.2f}" if step.ours else ""
        yield step.name, step.per, f"{step.floor_times.ms:.2f}", ours


def rate_row(rate: Rate) -> tuple[str, ...]:
    """A row of milliseconds, rates and ratio."""
    floor, ours = rate.floor.ms, rate.ours.ms
    speed = f"{rate.size / rate.ours.seconds / 1e6:.0f}" if rate.size else ""
    return rate.name, f"{floor:.2f}", f"{ours:.2f}", f"{1e3 / ours:.0f}", speed, f"{floor / ours:.2f}"


@click.command()
@click.option("--coco", type=click.Path(path_type=Path), help="COCO folder; the demo split needs none.")
@click.option("--split", default="demo", show_default=True)
@click.option("--samples", default=2000, show_default=True, help="At least this many are made.")
@click.option("--quick", is_flag=True, help="Only steps and rates; no workers, no memory.")
def main(coco: Path | None, split: str, samples: int, quick: bool) -> None:
    """Measure a build and print the tables."""
    cv2.setNumThreads(1)
    coco = coco_folder(
        coco, split, "panoptic", cache=storage.cache_folder(), approve=lambda _: False, say=click.echo
    )
    read = read_split(coco, split, cache=storage.cache_folder())
    variants = -(-samples // make_plan(read, BuildOptions(split)).samples)
    pairs = BuildOptions(split, variants=variants, shards=SHARDS)
    recipes = replace(pairs, store="recipe")
    with tempfile.TemporaryDirectory() as name:
        report(make_plan(read, pairs), make_plan(read, recipes), coco, Path(name), quick)
        optics(read, Path(name))


def report(pairs: Plan, recipes: Plan, coco: Path, scratch: Path, quick: bool) -> None:
    """Measure and print."""
    variants, split = pairs.options.variants, pairs.options.split
    shards = prepare(pairs, 2)
    items = [item for shard in shards for item in shard]
    click.echo(f"{len(items)} pictures of {split}, {variants} samples each; {processor()}, one core.")
    folders = {plan.options.store: scratch / f"read-{plan.options.store}" for plan in (recipes, pairs)}
    for plan in (recipes, pairs):
        build(plan.options, Run(coco, folders[plan.options.store], workers=1))
    with (scratch / "tar").open("wb") as file, worker() as run:
        of = steps(file)
        ours = {
            "build pairs": partial(run, pipeline, pairs, scratch / "pairs"),
            "build recipes": partial(run, pipeline, recipes, scratch / "recipes"),
            "read recipes": partial(run, reading, folders["recipe"]),
            "read pairs": partial(run, reading, folders["pairs"]),
        }
        rates = [Rate(name, of[name], variants, once) for name, once in ours.items()]
        for rate in rates * ROUNDS:
            rate.measure(shards)
    hash_ms, hash_speed = hashing(folders["recipe"])
    for folder in folders.values():
        shutil.rmtree(folder)
    naive_ms = naive(items)
    table(STEP_HEAD, step_rows([*of["build pairs"], *of["read pairs"]]))
    table(RATE_HEAD, map(rate_row, rates))
    rows = [
        ("naive script, ms per sample", f"{naive_ms:.1f}"),
        ("naive / ours", f"{naive_ms / rates[0].ours.ms:.1f}"),
        ("hashes compared on the first reading, MB/s", f"{hash_speed:.0f}"),
        ("the same, ms per sample of recipes", f"{hash_ms:.2f}"),
    ]
    if not quick:
        rows += build_rows(builds(pairs.options, coco, scratch))
        rows += memory(coco, split, scratch)
    table(("", ""), rows)


def optics(split: Split, scratch: Path) -> None:
    """Measure builds of real optics and print; fewer pictures, since their frames take memory."""
    rates = []
    for name, frames in OPTICS.items():
        options = BuildOptions(
            split.name, **preset_options("realistic"), frames=frames, limit=20, variants=2, shards=4
        )
        plan = make_plan(split, options)
        shards = prepare(plan, options.variants)
        with (scratch / "tar").open("wb") as file:
            steps_ = optical_steps(steps(file)["build pairs"][:5], file)
            rate = Rate(
                f"build {name}", steps_, options.variants, partial(pipeline, plan, scratch / "optics")
            )
            for _ in range(ROUNDS):
                rate.measure(shards)
        rates.append(rate)
    rows = [
        (first.name, first.per, f"{first.floor_times.ms:.2f}", f"{second.floor_times.ms:.2f}")
        for first, second in zip(*(rate.steps for rate in rates), strict=True)
    ]
    table(("step", "per", *(f"floor of {name}, ms" for name in OPTICS)), rows)
    table(RATE_HEAD, map(rate_row, rates))


if __name__ == "__main__":
    main()
