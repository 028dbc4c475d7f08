"""evaluation.json: what was measured of a network, on which data, by which command. Cards quote it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import msgspec

from zoo.errors import ZooError

RESULTS_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Result:
    """Means of one network over one set of pairs.

    Args:
        data: The set's name, for people.
        identity: The set's name for programs, such as `coco/val2017`.
        kind: Which of its kinds, such as `clean` or `captured`; empty for none.
        samples: Number of pairs.
        metrics: Means by name, such as `psnr`.
        command: What measured it.
    """

    data: str
    identity: str
    kind: str
    samples: int
    metrics: dict[str, float]
    command: str


@dataclass(frozen=True, slots=True)
class Results:
    """All that was measured of a network."""

    format: int
    results: tuple[Result, ...]

    def to_json(self) -> bytes:
        """As indented JSON."""
        return (json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n").encode()

    @staticmethod
    def from_json(text: bytes, where: str = "evaluation.json") -> Results:
        """What `to_json` gave.

        Raises:
            ZooError: If it is something else, or of another release.
        """
        try:
            version = msgspec.json.decode(text, type=_Versioned).format
            if version != RESULTS_FORMAT:
                raise ZooError(f"{where} has format {version}", "update mfsynth")
            return msgspec.json.decode(text, type=Results)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ZooError(f"{where} is no evaluation: {error}", "evaluate the network again") from error


@dataclass(frozen=True)
class _Versioned:
    format: int


def results(*each: Result) -> Results:
    """Results of this release's format."""
    return Results(RESULTS_FORMAT, each)
