"""Where training scenes come from: shards, or COCO live; one source or a mixture."""

from __future__ import annotations

import hashlib
import json
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import mfsynth
from mfsynth.errors import OptionsError
from mfsynth.locations import local_path, shown
from mfsynth.options import PRESETS, BuildOptions, Preset
from mfsynth.order import share
from zoo.errors import TrainingError
from zoo.training.names import COCO, CocoName

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mfsynth.sample import Scene

HELD_OUT = 20
"""One image in this many is held out for validation, by its id: the same ones in every run and data set."""
EMPTY_EPOCHS = 10
"""How many epochs in a row a reader may find nothing before it gives up."""
_WEIGHT = re.compile(r"(?P<location>.+)@(?P<weight>\d+(\.\d+)?)")


@dataclass(frozen=True, slots=True)
class Reader:
    """One of several readers that share the data: a process of the training, and a loader worker in it."""

    rank: int = 0
    ranks: int = 1
    worker: int = 0
    workers: int = 1

    @property
    def number(self) -> int:
        """The number of this reader among all."""
        return self.rank * self.workers + self.worker

    @property
    def total(self) -> int:
        """Number of readers."""
        return self.ranks * self.workers


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """A source as the command line names it: `coco:DIR:SPLIT`, `coco:DIR:SPLIT:PRESET`, or shards.

    Shards are a folder or a URL. `@2` weights a source: `weight` says how often each of its samples comes,
    relative to other sources' samples. `cache` and `cache_size` are those of `mfsynth.open`.
    """

    location: str
    weight: float = 1.0
    cache: Path | None = field(default=None, repr=False)
    cache_size: str | None = field(default=None, repr=False)

    @staticmethod
    def parse(text: str, cache: Path | None = None, cache_size: str | None = None) -> SourceSpec:
        """Read a source's name.

        >>> SourceSpec.parse("coco:data:train2017@2")
        SourceSpec(location='coco:data:train2017', weight=2.0)
        """
        match = _WEIGHT.fullmatch(text)
        location, weight = (match["location"], float(match["weight"])) if match else (text, 1.0)
        spec = SourceSpec(location, weight, cache, cache_size)
        if spec.weight <= 0:
            raise OptionsError(f"the weight of {shown(spec.location)} is {spec.weight}", "give one above 0")
        return spec

    @property
    def live(self) -> bool:
        """Whether it is synthesized from COCO."""
        return self.location.startswith(COCO)

    @property
    def folder(self) -> Path | None:
        """The local folder that is read; None for a URL.

        >>> SourceSpec.parse("coco:data:train2017").folder
        PosixPath('data')
        """
        return CocoName.parse(self.location).path if self.live else local_path(self.location)

    def __str__(self) -> str:
        """As on the command line, but without the folder, which another machine does not have, or a password.

        >>> str(SourceSpec.parse("coco:data:train2017@2"))
        'coco:DIR:train2017@2'
        """
        if self.live:
            name = str(CocoName.parse(self.location))
        else:
            name = shown(self.location).rstrip("/").rpartition("/")[2]
        return name if self.weight == 1 else f"{name}@{self.weight:g}"


def held_out(image_id: int) -> bool:
    """Whether an image is kept for validation."""
    return hashlib.sha256(f"held out {image_id}".encode()).digest()[0] * HELD_OUT < 256


class Source(ABC):
    """Scenes to train with, without those held out.

    Args:
        options: What decides its recipes.
        holding: Whether one image in twenty is held out; otherwise all are for training, or for validation.
    """

    def __init__(self, options: BuildOptions, holding: bool) -> None:
        self.options, self.holding = options, holding

    def trains(self, image_id: int) -> bool:
        """Whether an image is used for training."""
        return not (self.holding and held_out(image_id))

    def validates(self, image_id: int) -> bool:
        """Whether an image is used for validation."""
        return not self.holding or held_out(image_id)

    @property
    def captured(self) -> bool:
        """Whether its recipes decide what a camera adds, even if they leave some samples clean.

        Those of format 1 never do: their noise is not rendered.
        """
        noisy = self.options.capture == "camera" or self.options.noise[1] > 0
        return self.options.draw.optical and noisy

    def settings(self) -> dict[str, Any]:
        """What `realistic` sets, as it is set here, under `settings`; nothing for recipes of format 1."""
        if not self.options.draw.optical:
            return {}
        values = self.options.to_json()
        return {"settings": {name: values[name] for name in PRESETS["realistic"] if name in values}}

    @abstractmethod
    def __len__(self) -> int:
        """Number of samples in an epoch, over all readers; an estimate, as it may count a few held out."""

    @abstractmethod
    def epoch(self, epoch: int, reader: Reader, skip: int) -> Iterator[tuple[int, Scene]]:
        """One reader's scenes of an epoch, after `skip` places, each with the place to resume at."""

    @abstractmethod
    def validation(self) -> Iterator[Scene]:
        """The scenes to validate with, in an order that does not change."""

    @abstractmethod
    def fingerprint(self) -> dict[str, Any]:
        """What the data is, as JSON's own types."""


class LiveSource(Source):
    """A COCO split, synthesized live with a preset: epoch e brings each image's variant e.

    Of decoded images, up to `memory` bytes are kept for later epochs.
    """

    def __init__(
        self,
        folder: str,
        split: str,
        seed: int,
        holding: bool = True,
        preset: Preset = "paper",
        memory: int = 0,
    ) -> None:
        stream = mfsynth.synthesize(folder, split, seed, shuffle=seed, preset=preset).scenes().keeping(memory)
        super().__init__(stream.options, holding)
        self.split, self.preset = split, preset
        self.kept = stream.select(lambda image: self.trains(image.id))
        self.held = stream.select(lambda image: self.validates(image.id))

    def __len__(self) -> int:
        return len(self.kept)

    def epoch(self, epoch: int, reader: Reader, skip: int) -> Iterator[tuple[int, Scene]]:
        """Places count within this reader: every `readers`-th of the epoch's order."""
        stream = self.kept.at(epoch)
        places = range(reader.number, len(stream), reader.total)
        for number, place in enumerate(places[skip:], skip + 1):
            for scene in stream.read(place, place + 1):  # there is none if its files are unusable
                yield number, scene

    def validation(self) -> Iterator[Scene]:
        """Variant 0 of each image, by ascending id."""
        return iter(self.held.at(0))

    def fingerprint(self) -> dict[str, Any]:
        """The options of the synthesis and the ids of the images; of a preset, also its name and settings."""
        images = sorted(entry.image.id for entry in self.kept.entries)
        told = {
            "source": f"coco:{self.split}",
            "options": self.options.fingerprint,
            "images": len(images),
            "ids": hashlib.sha256(json.dumps(images).encode()).hexdigest(),
        }
        if self.preset == "paper":
            return told
        return told | {"source": f"coco:{self.split}:{self.preset}"} | self.settings()


class ShardSource(Source):
    """A data set of shards of either store; shards, and the samples of each, are shuffled every epoch.

    `cache` and `cache_size` are those of `mfsynth.open`.
    """

    def __init__(
        self,
        location: str,
        seed: int,
        holding: bool = True,
        cache: Path | None = None,
        cache_size: str | None = None,
    ) -> None:
        self.data = mfsynth.open(location, shuffle=seed, cache=cache, cache_size=cache_size).scenes()
        super().__init__(BuildOptions.of(self.data.manifest), holding)
        self.kept = self.data.select(lambda image: self.trains(image.id))

    def __len__(self) -> int:
        return len(self.data)

    def epoch(self, epoch: int, reader: Reader, skip: int) -> Iterator[tuple[int, Scene]]:
        """Places count within this reader's share of the epoch's order, including those held out."""
        start, stop = share(len(self.data), reader.number, reader.total)
        for place, scene in self.kept.at(epoch).numbered(start + skip, stop):
            yield place - start + 1, scene

    def validation(self) -> Iterator[Scene]:
        """The samples to validate with, in the manifest's order."""
        data = self.data.at(0)
        data.shuffle = None
        return iter(data.select(lambda image: self.validates(image.id)))

    def fingerprint(self) -> dict[str, Any]:
        """A hash of all shards' hashes; of recipes of format 2, also their settings."""
        hashes = [shard.sha256 for shard in self.data.manifest.shards]
        return {
            "source": f"shards:{self.data.manifest.split}",
            "samples": len(self),
            "shards": hashlib.sha256(json.dumps(hashes).encode()).hexdigest(),
        } | self.settings()


def open_source(spec: SourceSpec, seed: int, holding: bool = True, memory: int = 0) -> Source:
    """Open a source.

    Args:
        spec: Which.
        seed: Of its draws and its order.
        holding: Hold out one image in twenty for validation.
        memory: Most bytes of decoded images that a live source keeps.

    Raises:
        OptionsError: If its name is not understood.
        MfsynthError: If its data is missing or broken.
    """
    if not spec.live:
        return ShardSource(spec.location, seed, holding, spec.cache, spec.cache_size)
    name = CocoName.parse(spec.location)
    name.check(spec.location)
    return LiveSource(str(name.path), name.split, seed, holding, name.preset, memory)


class Mixture:
    """Several sources as one endless stream of scenes, each chosen by weight times size.

    Args:
        sources: The sources and their weights.
        seed: Of the choices.
        reader: Who reads.
        position: An earlier `position`, to continue from.

    Raises:
        TrainingError: If the position is one in other sources.
    """

    def __init__(
        self,
        sources: list[tuple[Source, float]],
        seed: int,
        reader: Reader,
        position: list[list[int]] | None = None,
    ) -> None:
        self.sources = [source for source, _ in sources]
        self.odds = [weight * len(source) for source, weight in sources]
        self.seed, self.reader = seed, reader
        self.position = [list(each) for each in position] if position else [[0, 0] for _ in sources]
        """For each source, the epoch and the place in it."""
        if len(self.position) != len(sources):
            raise TrainingError(
                f"the checkpoint has positions in {len(self.position)} sources, there are {len(sources)}",
                "remove the checkpoint",
            )
        self._streams: list[Iterator[tuple[int, Scene]] | None] = [None] * len(sources)

    def next(self, number: int) -> tuple[Source, Scene]:
        """The scene with a number in the reader's stream, and where it is from.

        Raises:
            TrainingError: If the source has no scene for this reader.
        """
        rng = Random(f"mixture {self.seed} {self.reader.number} {number}")
        chosen = rng.choices(range(len(self.sources)), self.odds)[0]
        for _ in range(EMPTY_EPOCHS):
            for place, scene in self._stream(chosen):
                self.position[chosen][1] = place
                return self.sources[chosen], scene
            self.position[chosen] = [self.position[chosen][0] + 1, 0]
            self._streams[chosen] = None
        raise TrainingError(
            f"{self.sources[chosen].fingerprint()['source']} has no usable sample for reader "
            f"{self.reader.number + 1} of {self.reader.total}",
            "use fewer workers or more data",
        )

    def _stream(self, chosen: int) -> Iterator[tuple[int, Scene]]:
        stream = self._streams[chosen]
        if stream is None:
            epoch, place = self.position[chosen]
            stream = self._streams[chosen] = self.sources[chosen].epoch(epoch, self.reader, place)
        return stream
