"""Speed and memory of a build, compared with the sum of its unavoidable steps and with a naive script.

    python scripts/bench_build.py --coco ../shared/coco --split val2017

Everything is measured in one run on the same pictures, so that ratios hold on shared, noisy machines. The
floor is the sum of the unavoidable steps, each done by the fastest exact method known, on prepared data: no
Python between the steps, no objects, no checks. The result is printed as Markdown.
"""

from __future__ import annotations

import io
import json
import platform
import random
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import click
import cv2
import numpy as np
import pyspng
import simplejpeg
from isal import igzip_lib, isal_zlib

import mfsynth
from mfsynth import storage
from mfsynth.building.plan import Plan, make_plan
from mfsynth.building.run import Run, build
from mfsynth.building.work import Job, make_shard
from mfsynth.coco.image import DecodedImage, read_image
from mfsynth.coco.official.resolve import coco_folder
from mfsynth.coco.split import read_split
from mfsynth.codecs import decode_ids, decode_picture, encode_png
from mfsynth.options import BuildOptions
from mfsynth.shards.checked import wrong_bytes
from mfsynth.shards.layout import PARTS
from mfsynth.synthesis.draw import draw
from mfsynth.synthesis.render import gaussian_reach, render

PASSES = 3
TRAIN_IMAGES = 118_287


@dataclass
class Item:
    """One image with all that a step may need, prepared."""

    jpeg: bytes
    mask: bytes
    ids: np.ndarray
    image: DecodedImage
    scenes: list[mfsynth.Scene]
    samples: list[mfsynth.Sample]
    members: list[bytes]


@dataclass
class Step:
    """One step: `floor` and `ours` are called with an item; times are in ms per image or per sample."""

    name: str
    per: str
    floor: Callable[[Item], object]
    ours: Callable[[Item], object] | None = None
    floor_ms: float = 0.0
    ours_ms: float = 0.0


def prepare(plan: Plan, scenes: int) -> list[Item]:
    """Decode every image and render `scenes` of its variants."""
    items = []
    for entry in (entry for shard in plan.shards for entry in shard):
        image = read_image(entry)
        recipes = [draw(entry.image, image.infos, plan.options.draw, variant) for variant in range(scenes)]
        made = [mfsynth.Scene(image.picture, image.segments, recipe) for recipe in recipes]
        samples = [render(scene) for scene in made]
        members = [image.data, encode_png(image.segments), encode_png(samples[0].focus)]
        members += [encode_png(frame) for frame in samples[0].frames]
        assert entry.picture is not None
        assert entry.mask is not None
        jpeg, mask = entry.picture.read(), entry.mask.read()
        items.append(Item(jpeg, mask, decode_ids(mask), image, made, samples, members))
    return items


# --- the floor: each step separately ------------------------------------------------------------------

TABLE = np.full(1 << 24, 255, np.uint8)


def floor_indices(item: Item) -> object:
    """Turn ids into indices, by a table of all ids."""
    return TABLE.take(item.ids)


def floor_png(array: np.ndarray) -> bytes:
    """Filter and compress one PNG, with its checksum."""
    flat = array.reshape(array.shape[0], -1)
    rows = np.empty((flat.shape[0], flat.shape[1] + 1), np.uint8)
    rows[:, 0] = 2
    rows[0, 1:] = flat[0]
    np.subtract(flat[1:], flat[:-1], out=rows[1:, 1:])
    body = rows.data.cast("B")
    compressor = isal_zlib.compressobj(1, wbits=-15, zdict=body[:1])  # so that equal rows give equal bytes
    data = b"".join((compressor.compress(body[1:]), compressor.flush()))
    isal_zlib.adler32(body)
    isal_zlib.crc32(data)
    return data


def floor_unpng(data: bytes) -> np.ndarray:
    """Decompress and unfilter one of our own PNGs of one byte per pixel, with its checksum."""
    width = int.from_bytes(data[16:20], "big")
    body = memoryview(data)[41:-16]
    isal_zlib.crc32(body)
    rows = np.frombuffer(isal_zlib.decompress(body), np.uint8).reshape(-1, width + 1)
    return np.add.accumulate(rows[:, 1:], axis=0, dtype=np.uint8)


def floor_mask(data: bytes) -> np.ndarray:
    """Decode a panoptic PNG: inflated by ISA-L, which verifies it, and unfiltered by pyspng."""
    parts, at = [], 33
    while data[at + 4 : at + 8] != b"IEND":
        length = int.from_bytes(data[at : at + 4], "big")
        parts.append(memoryview(data)[at + 8 : at + 8 + length])
        at += 12 + length
    isal_zlib.crc32(data)
    stream, blocks = b"".join(parts), [b"\x78\x01"]
    decompressor = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_ZLIB)
    while not decompressor.eof:
        rows, stream = decompressor.decompress(stream, 0xFFFF), b""
        blocks += [struct.pack("<BHH", 0, len(rows), 0xFFFF - len(rows)), rows]
    length = struct.pack(">I", sum(map(len, blocks)) + 9)
    png = [data[:33], length, b"IDAT", *blocks, b"\1\0\0\xff\xff", bytes(12), b"IEND", bytes(4)]
    return pyspng.load(b"".join(png), format="RGBA")


def floor_blur(scene: mfsynth.Scene) -> np.ndarray:
    """The separable filter, at the drawn sigma."""
    sigma = scene.recipe.blur.sigma
    taps = cv2.getGaussianKernel(2 * gaussian_reach(sigma) + 1, sigma, cv2.CV_32F)
    return cv2.sepFilter2D(scene.picture, -1, taps, taps, borderType=cv2.BORDER_REFLECT_101)


def floor_compose(sample: mfsynth.Sample) -> None:
    """Both frames from picture, blurred picture and focus map."""
    first, second = sample.gt.copy(), sample.frames[0].copy()
    cv2.copyTo(sample.frames[1], sample.focus, first)
    cv2.copyTo(sample.gt, sample.focus, second)


def floor_tar(members: list[bytes], file: io.BufferedWriter) -> None:
    """Write headers and contents to a growing file, which starts again at 1 GiB."""
    if file.tell() > 1 << 30:
        file.seek(0)
        file.truncate()
    for data in members:
        info = tarfile.TarInfo("000000000139-000.frame0.png")
        info.size = len(data)
        file.write(info.tobuf(tarfile.USTAR_FORMAT))
        file.write(data)
        file.write(bytes(-len(data) % 512))


def floor_hash(members: list[bytes]) -> None:
    """SHA-256 of all members' bytes."""
    import hashlib

    digest = hashlib.sha256()
    for data in members:
        digest.update(data)


def steps(scratch: io.BufferedWriter) -> dict[str, list[Step]]:
    """Every step of a build of pairs, of a build of recipes, and of reading recipes."""
    decode = [
        Step("JPEG decode", "image", lambda i: simplejpeg.decode_jpeg(i.jpeg),
             lambda i: decode_picture(i.jpeg)),
        Step("panoptic PNG decode", "image", lambda i: floor_mask(i.mask), lambda i: decode_ids(i.mask)),
        Step("ids to indices", "image", floor_indices),
        Step("areas", "image", lambda i: cv2.calcHist([i.image.segments], [0], None, [256], [0, 256])),
        Step("encode segments", "image", lambda i: floor_png(i.image.segments),
             lambda i: encode_png(i.image.segments)),
    ]  # fmt: skip
    focus = Step("focus map", "sample", lambda i: [cv2.LUT(s.segments, PLANES) for s in i.scenes],
                 lambda i: [s.focus() for s in i.scenes])  # fmt: skip
    blur = Step("blur", "sample", lambda i: [floor_blur(s) for s in i.scenes])
    compose = Step("compose", "sample", lambda i: [floor_compose(s) for s in i.samples])
    encode = Step(
        "encode frames and focus map", "sample",
        lambda i: [[floor_png(a) for a in (s.focus, *s.frames)] for s in i.samples],
        lambda i: [[encode_png(a) for a in (s.focus, *s.frames)] for s in i.samples],
    )  # fmt: skip
    write = [
        Step("tar", "sample", lambda i: [floor_tar(i.members, scratch) for _ in i.scenes]),
        Step("SHA-256", "sample", lambda i: [floor_hash(i.members) for _ in i.scenes]),
    ]
    write_recipe = [
        Step("tar", "sample", lambda i: [floor_tar(i.members[:2], scratch) for _ in i.scenes]),
        Step("SHA-256", "sample", lambda i: [floor_hash(i.members[:2]) for _ in i.scenes]),
    ]
    read = [
        Step("gt decode", "sample", lambda i: [decode[0].floor(i) for _ in i.scenes]),
        Step("segments decode", "sample", lambda i: [floor_unpng(i.members[1]) for _ in i.scenes]),
    ]
    return {
        "pairs": [*decode, focus, blur, compose, encode, *write],
        "recipe": [*decode, *write_recipe],
        "reading recipes": [*read, focus, blur, compose],
    }


PLANES = np.arange(256, dtype=np.uint8) & 1


def timed(call: Callable[[Item], object], items: Iterable[Item]) -> float:
    """Seconds for one pass over all items."""
    started = time.perf_counter()
    for item in items:
        call(item)
    return time.perf_counter() - started


def measure(step: Step, items: list[Item]) -> None:
    """Fill in a step's times: the median of a few passes, per image or per sample."""
    count = len(items) * (len(items[0].scenes) if step.per == "sample" else 1)
    step.floor_ms = sorted(timed(step.floor, items) for _ in range(PASSES))[PASSES // 2] / count * 1e3
    if step.ours:
        step.ours_ms = sorted(timed(step.ours, items) for _ in range(PASSES))[PASSES // 2] / count * 1e3


def floor_of(table: list[Step], variants: int) -> float:
    """Milliseconds per sample."""
    return sum(step.floor_ms / (variants if step.per == "image" else 1) for step in table)


# --- ours, and the naive script -----------------------------------------------------------------------


def pipeline(plan: Plan, folder: Path) -> tuple[float, int]:
    """Our build in one process: milliseconds per sample, the median of a few passes; bytes per sample."""
    entries = tuple(entry for shard in plan.shards for entry in shard)
    seconds = []
    for _ in range(PASSES):
        (folder / PARTS).mkdir(parents=True)
        started = time.perf_counter()
        part, _made = make_shard(Job(plan.options, plan.layout, 0, entries, folder), lambda _: None)
        seconds.append(time.perf_counter() - started)
        shutil.rmtree(folder)
    return sorted(seconds)[PASSES // 2] / part.shard.samples * 1e3, part.shard.size // part.shard.samples


def reading(folder: Path) -> float:
    """Reading a data set in this one process: milliseconds per sample, the median of a few passes."""
    data = mfsynth.open(folder)
    seconds = []
    for _ in range(PASSES):
        started = time.perf_counter()
        count = sum(1 for _ in data)
        seconds.append(time.perf_counter() - started)
    return sorted(seconds)[PASSES // 2] / count * 1e3


def hashing(folder: Path) -> tuple[float, float]:
    """Comparing shards' hashes, as on their first reading: milliseconds per sample, megabytes per second."""
    manifest = mfsynth.open(folder).manifest
    seconds = []
    for _ in range(PASSES):
        started = time.perf_counter()
        for shard in manifest.shards:
            with storage.open_file(storage.join(folder, shard.name)) as file:
                wrong_bytes(file, shard)
        seconds.append(time.perf_counter() - started)
    middle = sorted(seconds)[PASSES // 2]
    return middle / manifest.samples * 1e3, sum(shard.size for shard in manifest.shards) / middle / 1e6


def naive(items: list[Item]) -> float:
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


def workers(options: BuildOptions, coco: Path, scratch: Path) -> tuple[float, float, float]:
    """Seconds of start-up, and of the build with one and with two workers without start-up."""

    def run(count: int, limit: int, name: str) -> float:
        small = BuildOptions(
            options.split,
            variants=options.variants if not limit else 1,
            limit=limit,
            shards=min(16, limit or 16),
        )
        started = time.perf_counter()
        build(small, Run(coco, scratch / name, workers=count))
        return time.perf_counter() - started

    start_1, start_2 = run(1, 1, "start1"), run(2, 2, "start2")
    rounds = [(run(1, 0, f"one{k}"), run(2, 0, f"two{k}")) for k in range(2)]
    one, two = map(min, zip(*rounds, strict=True))  # other work on the machine only adds time
    return start_1, one - start_1, two - start_2


# --- memory -------------------------------------------------------------------------------------------

# Not getrusage: a child's ru_maxrss starts at that of its parent.
PEAK = "print(*[l.split()[1] for l in open('/proc/self/status') if l.startswith('VmHWM')])"

WORKER = """
import sys; from pathlib import Path
from mfsynth.options import BuildOptions; from mfsynth.building.plan import make_plan
from mfsynth.building.work import Job, make_shard; from mfsynth.coco.split import read_split
coco, split, out, variants, limit = sys.argv[1:]
(Path(out) / ".parts").mkdir(parents=True)
read = read_split(Path(coco), split, cache=Path(out))
plan = make_plan(read, BuildOptions(split, variants=int(variants), limit=int(limit)))
entries = tuple(entry for shard in plan.shards for entry in shard)
make_shard(Job(plan.options, plan.layout, 0, entries, Path(out)), lambda _: None)
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
    few = peak_megabytes(WORKER, coco, split, scratch / "few", 2, 10)
    many = peak_megabytes(WORKER, coco, split, scratch / "many", 10, 0)
    write_train(scratch / "train")
    size = (scratch / "train" / "annotations" / "panoptic_train.json").stat().st_size / 1e6
    parent = peak_megabytes(PARENT, scratch / "train")
    return [
        ("worker, 20 samples of 10 images", f"{few:.0f} MB"),
        ("worker, 10 samples of every image", f"{many:.0f} MB"),
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


def step_rows(tables: dict[str, list[Step]]) -> Iterable[tuple[str, ...]]:
    """A row for each step of a build of pairs and of reading."""
    for step in [*tables["pairs"], *tables["reading recipes"][:2]]:
        ours = f"{step.ours_ms:.2f}" if step.ours else ""
        yield step.name, step.per, f"{step.floor_ms:.2f}", ours


def rate_row(name: str, floor: float, ours: float, size: int = 0) -> tuple[str, ...]:
    """A row of milliseconds, rate and ratio."""
    speed = f"{size / ours / 1e3:.0f}" if size else ""
    return name, f"{floor:.2f}", f"{ours:.2f}", f"{1e3 / ours:.0f}", speed, f"{floor / ours:.2f}"


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
    images = len(make_plan(read, BuildOptions(split)).shards[0])
    variants = -(-samples // images)
    pairs = make_plan(read, BuildOptions(split, variants=variants, shards=1))
    recipes = make_plan(read, BuildOptions(split, variants=variants, shards=1, store="recipe"))
    with tempfile.TemporaryDirectory() as name:
        report(pairs, recipes, coco, Path(name), quick)


def report(pairs: Plan, recipes: Plan, coco: Path, scratch: Path, quick: bool) -> None:
    """Measure and print; the floor is measured before and after what it is compared with."""
    variants, split = pairs.options.variants, pairs.options.split
    items = prepare(pairs, 2)
    click.echo(f"{len(items)} pictures of {split}, {variants} samples each; {processor()}, one core.")
    with (scratch / "tar").open("wb") as file:
        tables = steps(file)
        every = {id(step): step for steps_ in tables.values() for step in steps_}
        first = _floors(every.values(), tables, items, variants)
        ours_recipe, recipe_size = pipeline(recipes, scratch / "recipe")
        ours_pairs, size = pipeline(pairs, scratch / "pairs")
        build(BuildOptions(split, variants=variants, store="recipe"), Run(coco, scratch / "read", workers=1))
        ours_reading, (hash_ms, hash_speed) = reading(scratch / "read"), hashing(scratch / "read")
        naive_ms = naive(items)
        second = _floors(every.values(), tables, items, variants)
    floors = {name: (first[name] + second[name]) / 2 for name in first}
    table(("step", "per", "floor, ms", "ours on its own, ms"), step_rows(tables))
    table(
        ("", "floor, ms per sample", "ours", "samples/s/core", "MB/s", "floor / ours"),
        [
            rate_row("build pairs", floors["pairs"], ours_pairs, size),
            rate_row("build recipes", floors["recipe"], ours_recipe, recipe_size),
            rate_row("read recipes", floors["reading recipes"], ours_reading),
        ],
    )
    rows = [
        ("naive script, ms per sample", f"{naive_ms:.1f}"),
        ("naive / ours", f"{naive_ms / ours_pairs:.1f}"),
        ("hashes compared on the first reading, MB/s", f"{hash_speed:.0f}"),
        ("the same, ms per sample of recipes", f"{hash_ms:.2f}"),
    ]
    if not quick:
        start, one, two = workers(pairs.options, coco, scratch)
        rows += [("start-up of a build, s", f"{start:.2f}"), ("two workers against one", f"{one / two:.2f}")]
        rows += memory(coco, split, scratch)
    table(("", ""), rows)


def _floors(
    every: Iterable[Step], tables: dict[str, list[Step]], items: list[Item], variants: int
) -> dict[str, float]:
    for step in every:
        measure(step, items)
    return {name: floor_of(steps_, variants) for name, steps_ in tables.items()}


if __name__ == "__main__":
    main()
