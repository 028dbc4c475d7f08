"""The unavoidable steps of a build and of reading, each done by the fastest exact method known.

Every step runs on prepared data: no Python between the steps, no objects, no checks. What we do ourselves is
timed beside it, on its own. `Rate` compares their sum with a whole build, or a whole reading.
"""

from __future__ import annotations

import hashlib
import io
import struct
import tarfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import cv2
import numpy as np
import pyspng
import simplejpeg
from isal import igzip_lib, isal_zlib

import mfsynth
from mfsynth.building.plan import Plan
from mfsynth.coco.annotations.entries import Entry
from mfsynth.coco.image import DecodedImage, read_image
from mfsynth.codecs import decode_ids, decode_picture, decode_png, encode_png
from mfsynth.synthesis.draw import draw
from mfsynth.synthesis.render import gaussian_reach, render
from mfsynth.synthesis.traits import traits_of


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
class Times:
    """Time spent, and on how much."""

    seconds: float = 0.0
    count: int = 0

    def add(self, seconds: float, count: int) -> float:
        """Add one more measurement; its seconds for each."""
        self.seconds += seconds
        self.count += count
        return seconds / count

    @property
    def ms(self) -> float:
        """The mean, in milliseconds."""
        return self.seconds / self.count * 1e3


@dataclass
class Step:
    """One step of a floor, and ours: both are called with an item, and timed per image or per sample."""

    name: str
    per: str
    floor: Callable[[Item], object]
    ours: Callable[[Item], object] | None = None
    floor_times: Times = field(default_factory=Times)
    our_times: Times = field(default_factory=Times)

    def measure(self, items: list[Item]) -> float:
        """Pass over items once; what the floor took now, in seconds per image or per sample."""
        count = sum(len(item.scenes) for item in items) if self.per == "sample" else len(items)
        if self.ours:
            self.our_times.add(timed(self.ours, items), count)
        return self.floor_times.add(timed(self.floor, items), count)


@dataclass
class Rate:
    """A build or a reading of ours, beside its floor.

    Shard by shard they take turns, the floor before and after ours, so that both see the same machine.

    Attributes:
        name: For the report.
        steps: Of the floor.
        variants: Samples for each image.
        once: Does ours for a shard, by its number; seconds, and bytes that were written.
    """

    name: str
    steps: list[Step]
    variants: int
    once: Callable[[int], tuple[float, int]]
    floor: Times = field(default_factory=Times)
    ours: Times = field(default_factory=Times)
    size: int = 0

    def measure(self, shards: list[list[Item]]) -> None:
        """Do all shards once."""
        for number, items in enumerate(shards):
            samples = len(items) * self.variants
            self.floor.add(self._floor(items), samples)
            seconds, size = self.once(number)
            self.floor.add(self._floor(items), samples)
            self.ours.add(seconds, samples)
            self.size += size

    def _floor(self, items: list[Item]) -> float:
        """Seconds for a shard's samples."""
        counts = {"image": len(items), "sample": len(items) * self.variants}
        return sum(step.measure(items) * counts[step.per] for step in self.steps)


def prepare(plan: Plan, scenes: int) -> list[list[Item]]:
    """Decode every image of every shard, and render `scenes` of its variants."""
    return [[prepared(entry, plan, scenes) for entry in shard] for shard in plan.shards]


def prepared(entry: Entry, plan: Plan, scenes: int) -> Item:
    """Decode an image, and render `scenes` of its variants."""
    image = read_image(entry)
    drawing = plan.options.draw
    traits = traits_of(image.picture, image.segments, image.infos, entry.stuff, drawing)
    recipes = [draw(entry.image, image.infos, drawing, variant, traits) for variant in range(scenes)]
    made = [mfsynth.Scene(image.picture, image.segments, recipe) for recipe in recipes]
    samples = [render(scene) for scene in made]
    members = [image.data, encode_png(image.segments), encode_png(samples[0].focus)]
    maps = (samples[0].nearest, samples[0].certain) if plan.layout.targets else ()
    members += [encode_png(array) for array in (*maps, *samples[0].frames)]
    assert entry.picture is not None
    assert entry.mask is not None
    jpeg, mask = entry.picture.read(), entry.mask.read()
    return Item(jpeg, mask, decode_ids(mask), image, made, samples, members)


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


def floor_unpng(data: bytes, form: str) -> np.ndarray:
    """Decode a PNG: inflated by ISA-L, which verifies it, and unfiltered by pyspng to this form."""
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
    return pyspng.load(b"".join(png), format=form)


def floor_stored(focus: bytes, *frames: bytes) -> None:
    """Decode what is stored of a rendered pair."""
    floor_unpng(focus, "L")
    for frame in frames:
        floor_unpng(frame, "RGB")


def floor_blur(scene: mfsynth.Scene) -> np.ndarray:
    """The separable filter, at the drawn sigma."""
    sigma = scene.recipe.blur.sigma
    taps = cv2.getGaussianKernel(2 * gaussian_reach(sigma) + 1, sigma, cv2.CV_32F)
    return cv2.sepFilter2D(scene.picture, -1, taps, taps, borderType=cv2.BORDER_REFLECT_101)


def floor_compose(sample: mfsynth.Sample) -> None:
    """Both frames from picture, blurred picture and focus map; one of them in the blurred picture's place."""
    first = sample.frames[0].copy()
    cv2.copyTo(sample.frames[1], sample.focus, first)
    cv2.copyTo(sample.gt, sample.focus, first)


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
    digest = hashlib.sha256()
    for data in members:
        digest.update(data)


def steps(scratch: io.BufferedWriter) -> dict[str, list[Step]]:
    """Every step of a build of pairs, of a build of recipes, and of reading either."""
    decode = [
        Step("JPEG decode", "image", lambda i: simplejpeg.decode_jpeg(i.jpeg),
             lambda i: decode_picture(i.jpeg)),
        Step("panoptic PNG decode", "image", lambda i: floor_unpng(i.mask, "RGBA"),
             lambda i: decode_ids(i.mask)),
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
        Step("segments decode", "sample", lambda i: [floor_unpng(i.members[1], "L") for _ in i.scenes]),
    ]
    read_stored = Step(
        "frames and focus map decode", "sample",
        lambda i: [floor_stored(*i.members[2:]) for _ in i.scenes],
        lambda i: [[decode_png(data) for data in i.members[2:]] for _ in i.scenes],
    )  # fmt: skip
    return {
        "build pairs": [*decode, focus, blur, compose, encode, *write],
        "build recipes": [*decode, *write_recipe],
        "read recipes": [*read, focus, blur, compose],
        "read pairs": [*read, read_stored],
    }


PLANES = np.arange(256, dtype=np.uint8) & 1


def timed(call: Callable[[Item], object], items: Iterable[Item]) -> float:
    """Seconds for one pass over all items."""
    started = time.perf_counter()
    for item in items:
        call(item)
    return time.perf_counter() - started
