"""What is spoiled, how it is read, and what may come of it."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from coco_folder import Picture, write_coco
from fuzz.mutations import DEEP, resealed_png, spoiled_bytes, spoiled_document
from hypothesis import strategies as st
from PIL import Image

import mfsynth
from mfsynth import storage
from mfsynth.building.folder import output_at
from mfsynth.building.parts import part_name, whole_part
from mfsynth.building.run import Run, build
from mfsynth.coco.annotations.entries import Entry
from mfsynth.coco.image import read_image
from mfsynth.coco.masks.depth import DepthCut
from mfsynth.coco.split import read_split
from mfsynth.codecs import decode_png, encode_png
from mfsynth.errors import MfsynthError
from mfsynth.options import PRESETS, with_preset
from mfsynth.shards import tar
from mfsynth.shards.manifest import Manifest
from mfsynth.shards.writer import ShardWriter
from mfsynth.verification.check import VerifyJob, verify_shard

PICTURE = Picture(1)


class Target(ABC):
    """A kind of file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.prepare()
        self.whole = self.seeds()
        self.right = {number: self.read(seed) for number, seed in enumerate(self.whole)}

    @abstractmethod
    def prepare(self) -> None:
        """Write what stands around the file."""

    @abstractmethod
    def seeds(self) -> list[bytes]:
        """Whole files."""

    @abstractmethod
    def read(self, data: bytes) -> Any:
        """Read a file as the program does.

        Raises:
            MfsynthError: If it is refused.
        """

    def spoiled(self, seed: bytes) -> st.SearchStrategy[bytes]:
        """Spoiled files."""
        return spoiled_bytes(seed)

    def may_refuse(self) -> bool:
        """Whether the file that was spoiled last may be refused as a whole."""
        return True

    def same(self, right: Any, found: Any) -> bool:
        """Whether two results of `read` are the same."""
        return bool(right == found)

    def may_differ(self, right: Any, found: Any) -> bool:
        """Whether the format cannot tell this content from the right one."""
        return False


class JsonTarget(Target):
    """A JSON document, spoiled value by value as well as byte by byte."""

    def spoiled(self, seed: bytes) -> st.SearchStrategy[bytes]:
        """Spoiled documents."""
        return spoiled_document(seed).map(lambda pair: pair[0])


def _pixels(array: np.ndarray) -> tuple[Any, ...]:
    return array.shape, array.dtype.str, array.tobytes()


def _read(entry: Entry) -> Any:
    """An image's picture and segments; the reason if it cannot be used."""
    try:
        image = read_image(entry)
    except mfsynth.errors.UnusableImage as error:
        return error.reason
    return _pixels(image.picture), _pixels(image.segments), [(info.id, info.area) for info in image.infos]


class OneImage(Target):
    """One of the files of a split of one image."""

    file = ""

    def prepare(self) -> None:
        """The split."""
        write_coco(self.folder, "s", [PICTURE])

    def read(self, data: bytes) -> Any:
        """The image's picture and segments."""
        (self.folder / self.file).write_bytes(data)
        (entry,) = read_split(self.folder, "s", cache=self.folder).entries
        image = read_image(entry)
        return _pixels(image.picture), _pixels(image.segments), image.infos


class Jpeg(OneImage):
    """A picture. JPEG has no checksum: some changes are valid pictures."""

    file = f"s/{PICTURE.name}"

    def seeds(self) -> list[bytes]:
        """Baseline, progressive, gray, with restart markers, with EXIF."""
        picture = Image.fromarray(PICTURE.pixels()[..., ::-1])
        exif = Image.Exif()
        exif[0x112] = 3
        kinds: list[dict[str, Any]] = [{}, {"progressive": True}, {"restart_marker_blocks": 3}]
        kinds.append({"exif": exif.tobytes(), "subsampling": 0})
        return [_saved(picture, "JPEG", **kind) for kind in kinds] + [_saved(picture.convert("L"), "JPEG")]

    def may_differ(self, right: Any, found: Any) -> bool:
        """It may."""
        return True


def _saved(picture: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **({"quality": 90} if kind == "JPEG" else {}), **options)
    return buffer.getvalue()


class Mask(OneImage):
    """A panoptic PNG."""

    file = f"panoptic_s/{PICTURE.id:012d}.png"

    def seeds(self) -> list[bytes]:
        """As OpenCV and as Pillow write it."""
        written = (self.folder / self.file).read_bytes()
        return [written, _saved(Image.open(io.BytesIO(written)), "PNG")]


class Resealed(Target):
    """A PNG whose checksums are made right again: other pixels may be valid ones."""

    def spoiled(self, seed: bytes) -> st.SearchStrategy[bytes]:
        """Spoiled PNGs with right checksums."""
        return resealed_png(seed)

    def may_differ(self, right: Any, found: Any) -> bool:
        """It may."""
        return True


class ResealedMask(Resealed, Mask):
    """A panoptic PNG whose checksums fit: other ids may be valid ones."""


class DepthMap(Target):
    """A depth map: a PNG or a TIFF. A TIFF has no checksum: some changes are valid maps."""

    def prepare(self) -> None:
        """A split of one picture, listed without annotations."""
        write_coco(self.folder, "s", [PICTURE])
        (self.folder / "annotations" / "panoptic_s.json").unlink()
        (self.folder / "maps").mkdir()

    def seeds(self) -> list[bytes]:
        """8 and 16 bits; each of the ways in which a TIFF is compressed."""
        slope = np.linspace(0, 60_000, PICTURE.height)[:, None].repeat(PICTURE.width, 1)
        deep, small = slope.astype(np.uint16), Image.fromarray((slope / 256).astype(np.uint8))
        methods = ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits")
        tiffs = [_saved(Image.fromarray(deep), "TIFF", compression=method) for method in methods]
        return [encode_png(deep), _saved(small, "PNG"), *tiffs, _saved(small, "TIFF", compression="tiff_lzw")]

    def read(self, data: bytes) -> Any:
        """The picture's segments."""
        kind = "png" if data.startswith(b"\x89PNG") else "tif"
        for path in (self.folder / "maps").iterdir():
            path.unlink()
        (self.folder / "maps" / f"{PICTURE.id:012d}.{kind}").write_bytes(data)
        (entry,) = read_split(self.folder, "s", depth_maps=self.folder / "maps", cache=self.folder).entries
        if entry.fault:
            raise MfsynthError(entry.fault.detail)
        image = read_image(entry, cut=DepthCut(16, "near"))
        return kind, _pixels(image.segments), image.infos

    def may_differ(self, right: Any, found: Any) -> bool:
        """A TIFF may."""
        return bool(found[0] == "tif")


class OwnPng(Target):
    """A member of a shard."""

    def prepare(self) -> None:
        """Nothing."""

    def seeds(self) -> list[bytes]:
        """8 bits, 16 bits, RGB."""
        rng = np.random.default_rng(1)
        arrays = (
            rng.integers(0, 3, (40, 56), np.uint8),
            rng.integers(0, 999, (40, 56), np.uint16),
            PICTURE.pixels(),
        )
        return [encode_png(array) for array in arrays]

    def read(self, data: bytes) -> Any:
        """The pixels."""
        return _pixels(decode_png(data))


class ResealedOwnPng(Resealed, OwnPng):
    """A member of a shard, with right checksums."""


class Zip(Target):
    """A split's pictures in a zip, stored and deflated."""

    def prepare(self) -> None:
        """A split of two images, without its pictures."""
        write_coco(self.folder, "s", [Picture(1), Picture(2)])
        self.pictures = {path.name: path.read_bytes() for path in sorted((self.folder / "s").iterdir())}
        for path in (self.folder / "s").iterdir():
            path.unlink()
        (self.folder / "s").rmdir()

    def seeds(self) -> list[bytes]:
        """Stored, deflated."""
        return [self._zip(zipfile.ZIP_STORED), self._zip(zipfile.ZIP_DEFLATED)]

    def _zip(self, method: int) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", method) as archive:
            for name, data in self.pictures.items():
                archive.writestr(zipfile.ZipInfo(f"s/{name}"), data, method)
        return buffer.getvalue()

    def read(self, data: bytes) -> Any:
        """Each image, or why it cannot be used."""
        (self.folder / "s.zip").write_bytes(data)
        return [_read(entry) for entry in read_split(self.folder, "s", cache=self.folder).entries]

    def same(self, right: Any, found: Any) -> bool:
        """Each image is as it should be, or left out."""
        return len(right) == len(found) and all(
            isinstance(new, str) or new == old for old, new in zip(right, found, strict=True)
        )


class Annotations(JsonTarget):
    """Four images in an annotation file: a fault in one record costs its image at most."""

    masks = "panoptic"

    def prepare(self) -> None:
        """The split."""
        write_coco(self.folder, "s", [Picture(number) for number in range(1, 5)])
        self.file = self.folder / "annotations" / f"{self.masks}_s.json"

    def seeds(self) -> list[bytes]:
        """As the split lists it."""
        return [self.file.read_bytes()]

    def spoiled(self, seed: bytes) -> st.SearchStrategy[bytes]:
        """Spoiled files."""
        return spoiled_document(seed).map(lambda pair: self._marked(*pair))

    def _marked(self, data: bytes, place: tuple[Any, ...]) -> bytes:
        self.place, self.deep = place, DEEP in data
        return data

    def read(self, data: bytes) -> Any:
        """Each image by its id, or why it cannot be used."""
        self.file.write_bytes(data)
        split = read_split(self.folder, "s", self.masks, cache=self.folder)  # type: ignore[arg-type]
        return {entry.image.id: _read(entry) for entry in split.entries}

    def may_refuse(self) -> bool:
        """Not where one record is spoiled, unless by nesting that no parser reads."""
        in_a_record = len(self.place) > 1 and self.place[0] in ("images", "annotations")
        return not in_a_record or self.deep

    def same(self, right: Any, found: Any) -> bool:
        """Images are as they should be or left out; where one record is spoiled, all others are there."""
        there = {id: image for id, image in found.items() if not isinstance(image, str)}
        wrong = [id for id, image in there.items() if id in right and right[id] != image]
        others = (
            len(there.keys() & right.keys()) >= len(right) - 2
        )  # a changed id may contradict another image
        return not wrong and (others or self.may_refuse())

    def may_differ(self, right: Any, found: Any) -> bool:
        """Where lost bytes made one valid record of two."""
        return not self.place


class Instances(Annotations):
    """The same for instances: a changed outline is another valid one."""

    masks = "instances"

    def prepare(self) -> None:
        """The split, with an outline, a crowd's runs, and compressed runs for each image."""
        super().prepare()
        content = json.loads((self.folder / "annotations" / "panoptic_s.json").read_text())
        height, width = PICTURE.height, PICTURE.width
        kinds: list[Any] = [
            [[2, 2, 30, 2, 30, 20, 2, 20]],
            {"size": [height, width], "counts": [height * 40, 120, height * width - height * 40 - 120]},
        ]
        content["annotations"] = [
            {
                "id": 10 * image + k,
                "image_id": image,
                "category_id": 1,
                "iscrowd": k,
                "segmentation": kinds[k],
            }
            for image in (1, 2, 3, 4)
            for k in (0, 1)
        ]
        self.file.write_text(json.dumps(content))

    def may_differ(self, right: Any, found: Any) -> bool:
        """It may."""
        return True


class DataSetFile(JsonTarget):
    """A file of a small data set."""

    store = "recipe"
    optics: Mapping[str, Any] = MappingProxyType({})

    def prepare(self) -> None:
        """A data set of two images in two shards."""
        write_coco(self.folder / "coco", "s", [Picture(1), Picture(2)])
        self.options = with_preset("paper", "s", {"shards": 2, "store": self.store, **self.optics})
        self.out = self.folder / "set"
        build(self.options, Run(self.folder / "coco", self.out, workers=1))
        self.manifest = Manifest.read(self.out)
        self.shard = self.manifest.shards[0]

    def samples(self, **options: Any) -> Any:
        """Everything that a reader gets."""
        return [
            (sample.key, sample.recipe, *map(_pixels, (*sample.frames, sample.focus, sample.gt)))
            for sample in mfsynth.open(self.out, **options)
        ]


class ManifestFile(DataSetFile):
    """A data set's manifest: what is read is right, or refused."""

    def seeds(self) -> list[bytes]:
        """As the build wrote it."""
        return [(self.out / "manifest.json").read_bytes()]

    def read(self, data: bytes) -> Any:
        """Every sample."""
        (self.out / "manifest.json").write_bytes(data)
        return self.samples()


class SideFile(DataSetFile):
    """A shard's side file: believed if it is right, else the shard is made again."""

    def seeds(self) -> list[bytes]:
        """As the build wrote it."""
        return [(self.out / part_name(self.shard.name)).read_bytes()]

    def read(self, data: bytes) -> Any:
        """Its content, if a resumed build believes it."""
        (self.out / part_name(self.shard.name)).write_bytes(data)
        entries = read_split(self.folder / "coco", "s", cache=self.folder).entries[:1]
        part = whole_part(output_at(self.out), self.shard.name, [entry.image.id for entry in entries], 1)
        if part is None:
            raise MfsynthError("made again")
        return replace(part, digest="")


class Tar(DataSetFile):
    """A shard: what is read is right, or refused."""

    store = "pairs"

    def seeds(self) -> list[bytes]:
        """As the build wrote it."""
        return [(self.out / self.shard.name).read_bytes()]

    def spoiled(self, seed: bytes) -> st.SearchStrategy[bytes]:
        """Spoiled archives."""
        return spoiled_bytes(seed)

    def read(self, data: bytes) -> Any:
        """Every sample."""
        (self.out / self.shard.name).write_bytes(data)
        return self.samples()


class ResealedTar(DataSetFile):
    """A shard whose hash the manifest gives: reading it fails or not, `verify` notices every change."""

    store = "pairs"

    def seeds(self) -> list[bytes]:
        """As the build wrote it."""
        return [(self.out / self.shard.name).read_bytes()]

    def spoiled(self, seed: bytes) -> st.SearchStrategy[bytes]:
        """Spoiled archives."""
        return spoiled_bytes(seed)

    def read(self, data: bytes) -> Any:
        """Every sample, if `verify` finds nothing."""
        (self.out / self.shard.name).write_bytes(data)
        shard = replace(self.shard, size=len(data), sha256=hashlib.sha256(data).hexdigest())
        manifest = replace(self.manifest, shards=(shard, *self.manifest.shards[1:]))
        (self.out / "manifest.json").write_bytes(manifest.to_json())
        with suppress(MfsynthError):  # whatever it gives, it ends
            self.samples()
        job = VerifyJob(self.out, shard, manifest.layout, self.options.draw, frozenset([0]))
        problems = verify_shard(job, lambda _count: None).problems
        if problems:
            raise MfsynthError(problems[0].text)
        return self.samples()

    def may_differ(self, right: Any, found: Any) -> bool:
        """In what a recipe says of its image and segments, such as URLs and categories; never in pixels."""
        return [each[2:] for each in right] == [each[2:] for each in found]


class RecipeFile(ResealedTar):
    """A recipe in a shard whose hash the manifest gives."""

    store = "recipe"

    def seeds(self) -> list[bytes]:
        """As the build wrote it."""
        with (self.out / self.shard.name).open("rb") as file:
            self.packed = next(iter(tar.samples(file, self.shard.name, self.shard.size)))
        return [self.packed.members["json"]]

    def spoiled(self, seed: bytes) -> st.SearchStrategy[bytes]:
        """Spoiled recipes."""
        return JsonTarget.spoiled(self, seed)

    def read(self, data: bytes) -> Any:
        """Every sample, if `verify` finds nothing."""
        folder = storage.folder_at(self.folder)
        with folder.scratch() as file:
            writer = ShardWriter(file)
            writer.add(self.packed.key, (self.packed.members | {"json": data}).items())
            writer.publish(folder, "shard")
        return super().read((self.folder / "shard").read_bytes())


class OpticsRecipe(RecipeFile):
    """A recipe of format 2."""

    optics: Mapping[str, Any] = PRESETS["realistic"] | {
        "frames": 3, "kernel": "polygon", "noise": (0.01, 0.02), "breathing": 2.0, "min_sharpness": 7.2,
    }  # fmt: skip


class Network(JsonTarget):
    """A file of a network's folder. Nothing in the folder says what its tensors should be."""

    file = ""

    def prepare(self) -> None:
        """A tiny network."""
        from zoo.networks import Config
        from zoo.networks.network import Network as Model
        from zoo.store.folder import save_folder

        config = Config(architecture="unet", task="seg", width=4, depth=2)
        save_folder(self.folder, Model(config))

    def seeds(self) -> list[bytes]:
        """As `save_folder` wrote it."""
        return [(self.folder / self.file).read_bytes()]

    def read(self, data: bytes) -> Any:
        """Config and tensors."""
        import zoo

        (self.folder / self.file).write_bytes(data)
        model = zoo.load(str(self.folder))
        return model.config, {name: _pixels(each.numpy()) for name, each in model.state_dict().items()}

    def may_differ(self, right: Any, found: Any) -> bool:
        """It may."""
        return True


class ConfigFile(Network):
    """A network's config."""

    file = "config.json"


class Safetensors(Network):
    """A network's weights."""

    file = "model.safetensors"

    def spoiled(self, seed: bytes) -> st.SearchStrategy[bytes]:
        """Spoiled headers as often as spoiled tensors."""
        length = 8 + int.from_bytes(seed[:8], "little")
        header = spoiled_bytes(seed[:length]).map(lambda data: data + seed[length:])
        return st.one_of(header, spoiled_bytes(seed))


TARGETS = {
    "JPEG": Jpeg,
    "panoptic PNG": Mask,
    "panoptic PNG, checksums right": ResealedMask,
    "depth map": DepthMap,
    "shard's PNG": OwnPng,
    "shard's PNG, checksums right": ResealedOwnPng,
    "zip": Zip,
    "panoptic JSON": Annotations,
    "instances JSON": Instances,
    "manifest": ManifestFile,
    "side file": SideFile,
    "shard": Tar,
    "shard, hash right": ResealedTar,
    "recipe, hash right": RecipeFile,
    "recipe of format 2, hash right": OpticsRecipe,
    "network's config": ConfigFile,
    "network's weights": Safetensors,
}
