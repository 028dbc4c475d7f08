"""What is known about a network, without building it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from mfsynth.console import count
from zoo.errors import ZooError
from zoo.metrics.measures import brief
from zoo.networks import Config
from zoo.publishing.cards import amount, measured
from zoo.publishing.record import one_line, read_training, trainings
from zoo.store.files import CONFIG, EVALUATION, TRAINING, WEIGHTS, config_in, read_file, shapes_in
from zoo.store.find import find
from zoo.store.results import Result, Results

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from zoo.store.find import Origin


LICENSE = "apache-2.0"
"""License of the weights that have a short name."""

_INDENT = 14 * " "


@dataclass(frozen=True, slots=True)
class Info:
    """What is known about a network.

    Attributes:
        name: The name that was asked for.
        summary: What it does, in one line; empty for a network without a short name.
        config: Everything that defines it except its weights.
        parameters: Number of weights.
        size: Size of the file of weights, in bytes.
        license: License of the weights; empty for other people's networks, whose cards give it.
        origin: Where its files come from.
        repository: Its repository on the Hub; empty for a folder.
        commit: The commit that the registry names, or that was fetched; None if there is none.
        training: Command, data and length of its training; empty if nothing is recorded.
        malformed: What is wrong with the record of its training; empty if nothing is.
        results: What was measured.
    """

    name: str
    summary: str
    config: Config
    parameters: int
    size: int
    license: str
    origin: str
    repository: str
    commit: str | None
    training: dict[str, Any]
    malformed: str
    results: tuple[Result, ...]

    def to_json(self) -> dict[str, Any]:
        """As JSON's own types."""
        return asdict(self) | {"config": self.config.to_json()}

    def lines(self) -> list[str]:
        """As lines for people."""
        license = self.license or "license not known"
        where = f"@{self.commit}" if self.commit else ", not published yet"
        lines = [
            f"{self.name}: {self.summary}" if self.summary else self.name,
            f"  network     {self.config.architecture}, width {self.config.width}, depth {self.config.depth}",
            f"  weights     {self.parameters:,} ({self.size / 1e6:.1f} MB); {license}; {self.origin}",
        ]
        if self.repository:
            lines.append(f"  Hub         {self.repository}{where}")
        if self.training:
            data = ", ".join(
                f"{amount(each)} of {one_line(each['source'])}" for each in self.training["data"]
            )
            steps = sum(each.get("steps", 0) for each in trainings(self.training))
            lines.append(f"  trained on  {data}; {count(steps, 'step')}")
            lines += [f"  begun from  {each}" for each in self._begun()]
        if self.malformed:
            lines.append(f"  trained on  not known: {self.malformed}")
        for result in self.results:
            lines.append(f"  measured    {count(result.samples, 'sample')}, {one_line(result.data)}")
            values = "; ".join(one_line(brief(*each)) for each in measured(result))
            lines += wrap(values, 100, initial_indent=_INDENT, subsequent_indent=_INDENT)
        return lines if self.results else [*lines, "  measured    nothing"]

    def _begun(self) -> list[str]:
        """What the trainings before the last one were, and which weights they gave."""
        return [
            (one_line(each.get("command", "")) or "weights whose training is not recorded")
            + (f"; SHA-256 {one_line(each['sha256'])}" if each.get("sha256") else "")
            for each in trainings(self.training)[1:]
        ]


def info(name: str | os.PathLike[str], *, revision: str | None = None, origin: Origin = "auto") -> Info:
    """What is known about a network; its files are downloaded if needed.

    Args:
        name: A short name, a Hub repository, or a folder, as for `zoo.load`.
        revision: As for `zoo.load`.
        origin: As for `zoo.load`.

    Raises:
        UnknownModelError, NotPublishedError, MissingFileError, DamagedError, HubError: As `zoo.load` does.
    """
    found = find(name, revision=revision, origin=origin)
    known = found.registered
    read = {each: read_file(found.folder, each, found.hashes) for each in (CONFIG, TRAINING, EVALUATION)}
    training, malformed = _training(read[TRAINING])
    parts = ("command", "data", "steps", "seconds", "device", "begun")
    evaluation = read[EVALUATION]
    return Info(
        name=str(name),
        summary=known.summary if known else "",
        config=config_in(found.folder, {name: data for name, data in read.items() if data is not None}),
        parameters=count_weights(found.folder / WEIGHTS),
        size=(found.folder / WEIGHTS).stat().st_size,
        license=LICENSE if known else "",
        origin=found.origin,
        repository=known.repository if known else found.origin.partition("@")[0] if found.from_hub else "",
        commit=known.commit if known else found.origin.partition("@")[2] or None,
        training={part: training[part] for part in parts if part in training},
        malformed=malformed,
        results=Results.from_json(evaluation).results if evaluation else (),
    )


def count_weights(path: Path) -> int:
    """Number of weights in a file, by its header.

    Raises:
        MissingFileError, DamagedError: If there is no such file, or it is not a safetensors file.
    """
    return sum(map(math.prod, shapes_in(path).values()))


def _training(text: bytes | None) -> tuple[dict[str, Any], str]:
    """The record of a training, and what is wrong with it: a network can be described without."""
    try:
        return read_training(text), ""
    except ZooError as error:
        return {}, error.message
