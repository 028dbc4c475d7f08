"""An evaluation whose stacks are scored: what its documents and drawings are made from."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.evaluation.methods import packages, weights
from zoo.evaluation.paper import printed

if TYPE_CHECKING:
    from zoo.evaluation.data import Data
    from zoo.evaluation.methods import Method
    from zoo.evaluation.options import EvaluateOptions
    from zoo.evaluation.paper import Printed
    from zoo.evaluation.run import Outcome
    from zoo.evaluation.scores import Scores

_OFFICIAL = ("train2017", "val2017")


@dataclass(frozen=True, slots=True)
class Evaluated:
    """An evaluation whose stacks are scored.

    Attributes:
        options: What was requested.
        data: The stacks.
        methods: What was scored.
        outcome: The scores, and which stacks were left out.
        out: The folder that holds the fused pictures.
    """

    options: EvaluateOptions
    data: Data
    methods: tuple[Method, ...]
    outcome: Outcome
    out: Path

    @property
    def scores(self) -> Scores:
        """Every value."""
        return self.outcome.scores

    @property
    def official(self) -> bool:
        """Whether the stacks are of a split that COCO publishes."""
        return self.data.split in _OFFICIAL

    @property
    def paper(self) -> Printed:
        """What the paper prints for such data; nothing for noisy frames, other optics, or other splits."""
        other = self.data.kind == "shards" and not self.official
        return {} if other or self.data.variant or any(self.scores.noise) else printed(self.data.kind)


def manifest_of(evaluated: Evaluated) -> dict[str, Any]:
    """What the results were made from, as JSON's types; hashes the pictures that others fused."""
    scores, outcome = evaluated.scores, evaluated.outcome
    digests = "".join(outcome.digests[name] for name in scores.images)
    return {
        "command": evaluated.options.command,
        "packages": packages(),
        "data": {
            "title": evaluated.data.title,
            "kind": evaluated.data.kind,
            "stacks": len(scores.images),
            "sha256": hashlib.sha256(digests.encode()).hexdigest(),
        },
        "left_out": {name: _without_folders(evaluated, why) for name, why in outcome.errors.items()},
        "methods": [_described(evaluated, method) for method in evaluated.methods],
    }


def _described(evaluated: Evaluated, method: Method) -> dict[str, Any]:
    base = Path(method.base)
    return {
        "name": method.name,
        "kind": method.kind,
        "base": base.name if base.is_dir() else method.base,
        "options": dict(method.options) | dict.fromkeys(_steps(method), True),
        "weights": weights(method),
        "identity": method.identity or _pictures(evaluated, method),
    }


def _steps(method: Method) -> list[str]:
    """What a method does before and after fusing."""
    return [name for name, does in (("align", method.align), ("denoise", method.denoise)) if does]


def _without_folders(evaluated: Evaluated, text: str) -> str:
    """A text without the folders that were given: they mean nothing on another machine."""
    folders = [evaluated.options.data.partition(":")[2], *(method.base for method in evaluated.methods)]
    for folder in folders:
        text = text.replace(f"{Path(folder)}{os.sep}", "")
    return text


def _pictures(evaluated: Evaluated, method: Method) -> str:
    """A hash of all pictures that others fused."""
    state = hashlib.sha256()
    for name in evaluated.scores.images:
        state.update(method.fused(evaluated.data.load(name)).image.tobytes())
    return state.hexdigest()
