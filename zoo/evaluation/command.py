"""The command of an evaluation as others would give it: without folders of this machine."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.evaluation.evaluate import EvaluateOptions


def evaluate_command(options: EvaluateOptions, out: Path) -> str:
    """The shortest `mfsynth evaluate` that gives these results."""
    kind, _, place = options.data.partition(":")
    words = ["mfsynth", "evaluate", "--methods", ",".join(map(without_folders, options.methods))]
    words += ["--data", f"{kind}:{Path(place).name}"]
    words += ["--limit", str(options.limit)] if options.limit else []
    words += [] if options.swap else ["--no-swap"]
    words += ["--times"] if options.times else []
    words += ["--shown", str(options.shown)] if options.shown != 20 else []
    words += ["--device", options.device] if options.device != "cpu" else []
    words += ["--against", options.against.name] if options.against else []
    return shlex.join([*words, "--out", out.name])


def without_folders(methods: str) -> str:
    """Methods' texts with only the last name of every folder."""
    words = []
    for text in methods.split(","):
        head, colon, folder = text.rpartition(":") if text.startswith("folder:") else ("", "", text)
        name, equals, base = folder.rpartition("=")
        short = Path(base).name if Path(base).is_dir() else base
        words.append(f"{head}{colon}{name}{equals}{short}")
    return ",".join(words)
