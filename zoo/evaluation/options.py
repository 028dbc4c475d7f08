"""What is evaluated, and how; and the command for it that works on any machine."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from mfsynth.locations import shown


@dataclass(frozen=True, slots=True)
class EvaluateOptions:
    """What is evaluated, and how.

    Args:
        methods: Texts that name them; see `zoo.evaluation.methods`.
        data: Text that names the stacks; see `zoo.evaluation.data`.
        limit: Take only the first stacks; 0 takes all.
        swap: Whether to measure commutativity; this fuses every stack twice.
        times: Whether to measure times at the end.
        shown: How many stacks the page and the sheet show, evenly chosen.
        against: A file of published values to rank among.
        device: Where networks run.
        workers: Processes.
        command: What started it, kept with the results; empty takes the command that would give them.
    """

    methods: tuple[str, ...]
    data: str
    limit: int = 0
    swap: bool = True
    times: bool = False
    shown: int = 20
    against: Path | None = None
    device: str = "cpu"
    workers: int = 1
    command: str = ""


def evaluate_command(options: EvaluateOptions, out: Path) -> str:
    """The shortest `mfsynth evaluate` that gives these results, without folders of this machine."""
    kind, _, place = options.data.partition(":")
    words = ["mfsynth", "evaluate", "--methods", ",".join(map(without_folders, options.methods))]
    words += ["--data", f"{kind}:{Path(shown(place)).name}"]
    words += ["--limit", str(options.limit)] if options.limit else []
    words += [] if options.swap else ["--no-swap"]
    words += ["--times"] if options.times else []
    words += ["--shown", str(options.shown)] if options.shown != 20 else []
    words += ["--device", options.device] if options.device != "cpu" else []
    words += ["--against", options.against.name] if options.against else []
    return shlex.join([*words, "--out", out.name])


def without_folders(methods: str) -> str:
    """Methods' texts with only the last part of every folder."""
    words = []
    for text in methods.split(","):
        head, colon, folder = text.rpartition(":") if text.startswith("folder:") else ("", "", text)
        name, equals, base = folder.rpartition("=")
        words.append(f"{head}{colon}{name}{equals}{_short(base)}")
    return ",".join(words)


def _short(base: str) -> str:
    """Only the last part of a folder, with the variants that follow it, as in `runs/try+near+align`."""
    folder, variants = base, ""
    while folder and not Path(folder).is_dir():
        folder, plus, word = folder.rpartition("+")
        variants = f"{plus}{word}{variants}"
    return f"{Path(folder).name}{variants}" if folder else base
