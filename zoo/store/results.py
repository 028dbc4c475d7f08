"""evaluation.json: what was measured on a network, on which data, by which command. Cards quote it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any

from msgspec import Meta

from mfsynth import schema
from zoo.errors import ZooError

RESULTS_FORMAT = 1
_Text = Annotated[str, Meta(max_length=10_000)]


@dataclass(frozen=True, slots=True)
class Result:
    """One network's means over one set of pairs or stacks.

    Args:
        data: The set's name, for people.
        identity: The set's name for programs, such as `coco/val2017`.
        kind: The variant of the set, such as `clean`, `captured` or `optics-6-frames`; empty if it has none.
        samples: Number of pairs or stacks.
        metrics: Means by name, such as `psnr`.
        command: The command that measured it.
    """

    data: _Text
    identity: _Text
    kind: _Text
    samples: Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
    metrics: dict[_Text, float]
    command: _Text


@dataclass(frozen=True, slots=True)
class Results:
    """Everything that was measured on a network."""

    format: int
    results: tuple[Result, ...]

    def to_json(self) -> bytes:
        """As indented JSON."""
        return (json.dumps(schema.to_json(self), indent=2, ensure_ascii=False) + "\n").encode()

    @staticmethod
    def from_json(text: bytes, where: str = "evaluation.json") -> Results:
        """The results that `to_json` wrote; fields that are absent take their defaults.

        Raises:
            ZooError: If it is something else, or from a newer release.
        """
        hint = "evaluate the network again"
        values = schema.decode(text, dict[str, Any], where, error=ZooError, hint=hint)
        if (version := values.get("format")) != RESULTS_FORMAT:
            newer = isinstance(version, int) and version > RESULTS_FORMAT
            raise ZooError(
                f"{where} has format {version!r:.40}, this release reads {RESULTS_FORMAT}",
                "update mfsynth" if newer else hint,
            )
        return schema.from_json(values, Results, f"the entries of {where}", error=ZooError)


def results(*each: Result) -> Results:
    """Results in the format of this release."""
    return Results(RESULTS_FORMAT, each)
