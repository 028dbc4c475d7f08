"""`mfsynth evaluate`: methods over pairs, and a folder of all that can be said of them.

OUT/scores.csv        every value            OUT/index.html   all of it, to look at
OUT/table.md          means ± deviations     OUT/sheet.webp   pictures, decision maps, errors
OUT/ranks.md, .png    who is better, surely  OUT/boxes.png    the paper's Fig. 10
OUT/times.md, .csv    Table III              OUT/noise.csv, .png   where frames differ in noise
OUT/leaderboard.md       among published ones   OUT/evaluation/  what networks' cards quote
OUT/manifest.json     what it was made from  OUT/fused/       the pictures, kept for the next run
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfsynth.errors import OutputError
from mfsynth.locks import locked
from mfsynth.plots import need_matplotlib
from mfsynth.storage import write
from zoo.errors import ZooError
from zoo.evaluation import leaderboard, noise, tables, times
from zoo.evaluation.data import open_data
from zoo.evaluation.methods import NETWORK, packages, parse_methods, weights
from zoo.evaluation.paper import printed
from zoo.evaluation.ranks import Test, rank
from zoo.evaluation.report import figures
from zoo.evaluation.report.page import write_page
from zoo.evaluation.report.sheet import write_sheet
from zoo.evaluation.run import Outcome, load_fused, run
from zoo.evaluation.scores import Exhibit, Scores
from zoo.metrics.measures import MEASURES
from zoo.store import registry
from zoo.store.results import Result, results

if TYPE_CHECKING:
    from zoo.evaluation.data import Data
    from zoo.evaluation.methods import Method
    from zoo.evaluation.paper import Printed
    from zoo.evaluation.ranks import Ranks

MANIFEST = "manifest.json"
_MARK = ".evaluation"
_WRITTEN = (
    MANIFEST, "scores.csv", "table.md", "ranks.md", "ranks.png", "boxes.png", "sheet.webp", "index.html",
    "times.md", "times.csv", "noise.csv", "noise.png", "leaderboard.md",
)  # fmt: skip
_LYTRO = 20
_OFFICIAL = ("train2017", "val2017")
_TIMED = 3


@dataclass(frozen=True, slots=True)
class EvaluateOptions:
    """What is evaluated, and how.

    Args:
        methods: Texts that name them; see `zoo.evaluation.methods`.
        data: Text that names the pairs; see `zoo.evaluation.data`.
        limit: Take the first pairs alone; 0 takes all.
        swap: Whether to measure commutativity, which fuses every pair twice.
        times: Whether to take times at the end.
        shown: How many pairs the page and the sheet show, evenly chosen.
        against: A file of published values to rank among.
        device: Where networks run.
        workers: Processes.
        command: What began it, kept with the results.
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


@dataclass(frozen=True, slots=True)
class EvaluateReport:
    """What an evaluation did.

    Attributes:
        scores: All values.
        errors: Why pairs were left out, by name.
        kept: Fused pictures that an earlier run had left.
        seconds: It took.
        table: Means, as Markdown.
        files: Written, by name, in the output folder.
    """

    scores: Scores
    errors: dict[str, str]
    kept: int
    seconds: float
    table: str
    files: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """As JSON's own types."""
        means = {method: tables.means_of(self.scores, method) for method in self.scores.methods}
        return {
            "images": len(self.scores.images),
            "means": means,
            "errors": self.errors,
            "kept": self.kept,
            "seconds": self.seconds,
            "files": list(self.files),
        }

    def lines(self, out: Path) -> list[str]:
        """As lines for people."""
        count = len(self.scores.images) * len(self.scores.methods)
        minutes = f"{self.seconds / 60:.1f} minutes"
        told = f"{count} pictures scored in {minutes}, {self.kept} of them kept from before"
        return [self.table, f"{told}; see {out / 'index.html'}"]


def evaluate(
    options: EvaluateOptions,
    out: Path,
    *,
    say: Callable[[str], None] = lambda _: None,
    progress: Callable[[str, int, int], None] = lambda _stage, _done, _total: None,
) -> EvaluateReport:
    """Evaluate methods, and write all that the module's head lists.

    Args:
        options: What, and how.
        out: Folder to fill; what an earlier run left there and is still true is not computed again.
        say: Told what happens beside.
        progress: Told of a stage's name, of things done and to do.

    Raises:
        OptionsError: If methods or data make no sense.
        ZooError: If a network cannot be loaded, or no pair could be scored.
        MissingExtraError: If a package is missing.
        OutputError: If the folder holds something else, or cannot be written to.
    """
    need_matplotlib()
    data = open_data(options.data)
    methods = parse_methods(options.methods, options.device)
    with locked(out, "evaluation"):
        _take(out)
        return _evaluate(options, data, methods, out, say, progress)


def _evaluate(
    options: EvaluateOptions,
    data: Data,
    methods: tuple[Method, ...],
    out: Path,
    say: Callable[[str], None],
    progress: Callable[[str, int, int], None],
) -> EvaluateReport:
    started = time.monotonic()
    names = data.names[: options.limit or None]
    if data.kind == "lytro" and len(data.names) < _LYTRO:
        say(f"{len(data.names)} of Lytro's {_LYTRO} pairs are there: the paper's values are of all")
    published = leaderboard.read_published(options.against, len(names)) if options.against else {}
    outcome = run(
        methods,
        data,
        out,
        names=names,
        swap=options.swap,
        workers=options.workers,
        say=say,
        progress=lambda done, total: progress("fusing", done, total),
    )
    if not outcome.scores.images:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in outcome.errors.items())
        raise ZooError(f"no pair could be scored: {reasons}")
    report = _Report(options, data, methods, outcome, out, say, progress)
    report.clear()
    report.write_scores()
    if published:
        report.write_leaderboard(published)
    if options.times:
        report.write_times()
    report.write_noise()
    report.write_pictures()
    report.write_manifest(time.monotonic() - started)
    table = (out / "table.md").read_text("utf-8")
    seconds = time.monotonic() - started
    return EvaluateReport(outcome.scores, outcome.errors, outcome.kept, seconds, table, tuple(report.files))


def _take(out: Path) -> None:
    """Make the folder ours, or see that it is.

    Raises:
        OutputError: If it holds something else.
    """
    if out.is_dir() and any(out.iterdir()) and not (out / _MARK).exists():
        raise OutputError(
            f"{out} holds something else than an evaluation", "give an empty folder, or a new one"
        )
    write(out / _MARK, b"what mfsynth evaluate wrote\n")


@dataclass
class _Report:
    """The output folder in the making."""

    options: EvaluateOptions
    data: Data
    methods: tuple[Method, ...]
    outcome: Outcome
    out: Path
    say: Callable[[str], None]
    progress: Callable[[str, int, int], None]
    files: list[str] = field(default_factory=list)

    @property
    def scores(self) -> Scores:
        return self.outcome.scores

    def put(self, name: str, content: str | bytes) -> None:
        write(self.out / name, content.encode() if isinstance(content, str) else content)
        self.files.append(name)

    def clear(self) -> None:
        """Remove what an earlier run said; the pictures stay."""
        for name in (*_WRITTEN, *(f"evaluation/{each}.json" for each in registry.names())):
            (self.out / name).unlink(missing_ok=True)

    @property
    def paper(self) -> Printed:
        """What the paper printed of such data; nothing of noisy pairs, nor of shards that are not COCO's."""
        other = self.data.kind == "shards" and self.data.title not in _OFFICIAL
        return {} if other or any(self.scores.noise) else printed(self.data.kind)

    def write_scores(self) -> None:
        self.put("scores.csv", tables.csv_of(self.scores))
        self.put("table.md", tables.markdown_of(self.scores, self.paper))
        for method in self.methods:
            if method.kind == NETWORK and method.base in registry.names() and method.name == method.base:
                self.put(f"evaluation/{method.name}.json", results(self._result(method)).to_json())

    def _result(self, method: Method) -> Result:
        title = self.data.title
        identity = f"coco/{title}" if self.data.kind == "shards" and title in _OFFICIAL else title.lower()
        kind = "noisy" if any(self.scores.noise) else ""
        named = f"{title}, frames with noise" if kind else title
        means = tables.means_of(self.scores, method.name)
        return Result(named, identity, kind, len(self.scores.images), means, self.options.command)

    def write_leaderboard(self, published: leaderboard.Published) -> None:
        if self.outcome.errors:
            self.say("pairs were left out: no leaderboard among published methods")
            return
        self.put("leaderboard.md", leaderboard.markdown_of(self.scores, published, self.paper))

    def write_times(self) -> None:
        pairs = [self.data.load(name) for name in self.scores.images[:_TIMED]]
        if not any(method.fuses for method in self.methods):
            self.say("pictures that others fused have no times")
            return
        taken = times.time_methods(
            self.methods,
            pairs,
            threads=self.options.workers,
            progress=lambda done, total: self.progress("timing", done, total),
        )
        self.put("times.csv", times.csv_of(taken))
        self.put("times.md", times.markdown_of(taken, times.conditions(self.methods, self.options.workers)))

    def write_noise(self) -> None:
        curves = {
            name: curve
            for name in ("psnr", "ssim")
            if (curve := noise.noise_curve(self.scores, name)) is not None
        }
        if not curves:
            return
        levels = next(iter(curves.values())).levels
        panels = {MEASURES[name].label: curve.means for name, curve in curves.items()}
        self.put("noise.csv", noise.csv_of(curves))
        self.put(
            "noise.png",
            figures.curves(
                f"{self.data.title}: frames with noise",
                levels,
                panels,
                "standard deviation of the noise, of full range",
            ),
        )

    def write_pictures(self) -> None:
        """Figures, contact sheet and page."""
        ranks = rank(self.scores)
        rising = [name for name in self.scores.measures if MEASURES[name].rising]
        drawn = {"boxes": figures.boxes(self.scores, rising)}
        if isinstance(ranks.together, Test):
            drawn["ranks"] = figures.critical_differences(
                ranks.together, f"{self.data.title}: the paper's measures"
            )
        for name, png in drawn.items():
            self.put(f"{name}.png", png)
        self.put("ranks.md", tables.ranks_of(ranks))
        self.put("sheet.webp", write_sheet(self._exhibits("drawing the sheet")))
        self.put("index.html", self._page(ranks, drawn))

    def _page(self, ranks: Ranks, drawn: dict[str, bytes]) -> bytes:
        return write_page(
            self.scores,
            self._exhibits("writing the page"),
            ranks=ranks,
            figures=drawn,
            manifest=self.manifest,
            paper=self.paper,
        )

    def _exhibits(self, stage: str) -> Iterator[Exhibit]:
        """The pairs to be looked at, evenly chosen, one by one."""
        names = self.scores.images
        count = min(self.options.shown, len(names))
        for number in range(count):
            self.progress(stage, number, count)
            yield self._exhibit(names[number * len(names) // count])
        self.progress(stage, count, count)

    def _exhibit(self, name: str) -> Exhibit:
        pair = self.data.load(name)
        fused, decisions = {}, {}
        for method in self.methods:
            picture, decision = (
                load_fused(self.out, method, name) if method.fuses else (method.fused(pair).image, None)
            )
            fused[method.name] = picture
            if decision is not None:
                decisions[method.name] = decision
        return Exhibit(name, pair.frames, pair.truth, pair.focus, fused, decisions)

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """What the results were made from; others' pictures are hashed for it."""
        digests = "".join(self.outcome.digests[name] for name in self.scores.images)
        return {
            "command": self.options.command,
            "packages": packages(),
            "data": {
                "title": self.data.title,
                "kind": self.data.kind,
                "pairs": len(self.scores.images),
                "sha256": hashlib.sha256(digests.encode()).hexdigest(),
            },
            "left_out": {name: self._bare(reason) for name, reason in self.outcome.errors.items()},
            "methods": [
                {
                    "name": method.name,
                    "kind": method.kind,
                    "base": Path(method.base).name if Path(method.base).is_dir() else method.base,
                    "options": dict(method.options) | ({"denoise": True} if method.denoise else {}),
                    "weights": weights(method),
                    "identity": method.identity or self._pictures(method),
                }
                for method in self.methods
            ],
        }

    def _bare(self, text: str) -> str:
        """A text without the folders that were given."""
        folders = [self.options.data.partition(":")[2], *(method.base for method in self.methods)]
        for folder in folders:
            text = text.replace(f"{Path(folder)}{os.sep}", "")
        return text

    def _pictures(self, method: Method) -> str:
        """Hash of all pictures that others fused."""
        state = hashlib.sha256()
        for name in self.scores.images:
            state.update(method.fused(self.data.load(name)).image.tobytes())
        return state.hexdigest()

    def write_manifest(self, seconds: float) -> None:
        rest = {"seconds": round(seconds, 1), "kept": self.outcome.kept, "workers": self.options.workers}
        self.put(MANIFEST, json.dumps(self.manifest | rest, indent=1, ensure_ascii=False) + "\n")
