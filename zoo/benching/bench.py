"""`mfsynth zoo bench`: milliseconds, megapixels a second and memory, by network, backend and precision."""

from __future__ import annotations

import platform
import statistics
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2

import mfsynth
from mfsynth.console import count
from mfsynth.engine import run_jobs
from mfsynth.errors import MfsynthError, install_command
from zoo.backends.session import EXTRAS, FASTEST, PRECISIONS, check_installed, installed
from zoo.benching.timing import drawn, peak_memory, timed
from zoo.loading import load
from zoo.stacks.memory import enough_memory
from zoo.store.find import find
from zoo.store.registry import names as short_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mfsynth.engine.jobs import Advance
    from zoo.backends.session import Backend

HEADS = ("network", "backend", "precision", "ms", "MP/s", "peak MB")
_NUMBERS = 3
"""The first column that is aligned on the right."""

_SMALLER = "measure smaller frames (--size), or fewer (--frames)"
"""What needs less memory."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What is fused, and by what means.

    Args:
        height: Of the frames, in pixels.
        width: Of the frames, in pixels.
        frames: How many.
        threads: Of every backend, and of OpenCV.
        device: Of torch: `cpu`, `cuda`, `mps`, or `auto`.
        repeats: How many calls count; None makes 3 to 50, within three seconds.
    """

    height: int = 520
    width: int = 520
    frames: int = 2
    threads: int = 1
    device: str = "cpu"
    repeats: int | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """What a process of its own measures."""

    network: str
    backend: Backend
    precision: str
    setup: Setup

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.network} by {self.backend} in {self.precision}"


@dataclass(frozen=True, slots=True)
class Cost:
    """What a fusion costs.

    Attributes:
        milliseconds: Median of the calls.
        megapixels_per_second: Of the fused picture.
        peak_megabytes: Of the process, at most: Python, the backend, frames and all; not a GPU's own.
        calls: How many were timed.
    """

    milliseconds: float
    megapixels_per_second: float
    peak_megabytes: float
    calls: int


@dataclass(frozen=True, slots=True)
class Row:
    """What a network costs by a backend, or why that is not known."""

    network: str
    backend: str
    precision: str
    cost: Cost | None
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """As JSON's own types."""
        which = {"network": self.network, "backend": self.backend, "precision": self.precision}
        return which | ({"reason": self.reason} if self.cost is None else asdict(self.cost))

    def cells(self) -> tuple[str, ...]:
        """As cells of a table, below `HEADS`."""
        which = (self.network, self.backend, self.precision)
        if self.cost is None:
            return (*which, *["–"] * (len(HEADS) - len(which)))
        speed = f"{self.cost.megapixels_per_second:.2f}"
        return (*which, f"{self.cost.milliseconds:.1f}", speed, f"{self.cost.peak_megabytes:.0f}")


@dataclass(frozen=True, slots=True)
class BenchReport:
    """What was measured, on which machine, and what could not be."""

    setup: Setup
    rows: tuple[Row, ...]
    missing: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        """As JSON's own types."""
        return {
            "processor": processor(),
            **asdict(self.setup),
            "rows": [each.to_json() for each in self.rows],
            "missing": self.missing,
            "version": mfsynth.__version__,
        }

    @property
    def reasons(self) -> dict[str, str]:
        """Why something was not measured: for each network, backend and reason, the precisions together."""
        found: dict[tuple[str, str, str], list[str]] = {}
        for row in self.rows:
            if row.cost is None:
                found.setdefault((row.network, row.backend, row.reason), []).append(row.precision)
        return {
            f"{network} by {backend} in {', '.join(precisions)}": reason
            for (network, backend, reason), precisions in found.items()
        }

    @property
    def errors(self) -> dict[str, str]:
        """The reasons, if nothing at all was measured."""
        return {} if any(row.cost for row in self.rows) else self.reasons

    def lines(self) -> list[str]:
        """As lines for people; none if nothing was measured."""
        calls = [row.cost.calls for row in self.rows if row.cost]
        if not calls:
            return []
        what, least, most = self.setup, min(calls), max(calls)
        return [
            f"{processor()}: {count(what.frames, 'frame')} of {what.width} x {what.height}, "
            f"{count(what.threads, 'thread')}, "
            f"medians of {least if least == most else f'{least} to {most}'} warm calls",
            *_aligned([HEADS, *(row.cells() for row in self.rows)]),
            *(f"{which}: {reason}" for which, reason in self.reasons.items()),
            *(f"{backend} is not installed: {how}" for backend, how in self.missing.items()),
        ]


def bench(
    names: Sequence[str] = (),
    setup: Setup | None = None,
    backends: Sequence[Backend] = (),
    *,
    say: Callable[[str], None] = lambda _: None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> BenchReport:
    """Measure what networks cost by every backend that is installed, in every precision that it has.

    Each is measured in a process of its own, so that its memory is its own.

    Args:
        names: Of networks, as for `zoo.load`; all that have a short name if there are none.
        setup: What is fused.
        backends: Only these, which must be installed; all that are installed if there are none.
        say: Called with a line when a process dies, or reports nothing for a minute.
        progress: Called with the number of cases that are measured, and of all.

    Raises:
        ZooError, HubError: As one of their subclasses: if there is no such network, before any is measured.
        MissingExtraError: If one of `backends` is not installed, or no backend at all.
    """
    setup = setup or Setup()
    for name in names:
        find(name)
    found = [each for each in FASTEST if installed(each)]
    for backend in backends or found or FASTEST:
        check_installed(backend)
    cases = [
        Case(name, backend, precision, setup)
        for name in names or short_names()
        for backend in backends or found
        for precision in PRECISIONS[backend]
    ]
    rows = []
    for number, case in enumerate(cases):
        progress(number, len(cases))
        rows.append(_row(case, say))
    progress(len(cases), len(cases))
    others = [] if backends else [each for each in FASTEST if each not in found]
    return BenchReport(setup, tuple(rows), {each: install_command(EXTRAS[each]) for each in others})


def _row(case: Case, say: Callable[[str], None]) -> Row:
    which = (case.network, case.backend, case.precision)
    try:
        ((_, cost),) = run_jobs(measure, [case], workers=1, say=say, progress=lambda _: None)
    except MfsynthError as error:
        return Row(*which, None, str(error))
    return Row(*which, cost)


@enough_memory(_SMALLER)
def measure(case: Case, _: Advance) -> Cost:
    """Load a network and fuse, again and again; nothing but the backend is imported.

    Raises:
        FrameError: If there is not enough memory.
        ZooError, HubError, OptionsError: As for `zoo.load`.
    """
    setup = case.setup
    cv2.setNumThreads(setup.threads)  # and so those of onnxruntime and OpenVINO
    device = "cpu"
    if case.backend == "torch":
        import torch

        torch.set_num_threads(setup.threads)
        device = setup.device
    model = load(case.network, device=device, dtype=case.precision, backend=case.backend)
    frames = drawn(setup.frames, setup.height, setup.width)
    seconds = timed({case.name: lambda: model.fuse(frames)}, setup.repeats)[case.name]
    median = statistics.median(seconds)
    speed = setup.height * setup.width / 1e6 / median
    return Cost(median * 1e3, speed, peak_memory() / 1e6, len(seconds))


def processor() -> str:
    """What this machine computes with, for people."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows as lines whose columns stand below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        words = [each.ljust(width) for each, width in zip(row[:_NUMBERS], widths, strict=False)]
        numbers = [each.rjust(width) for each, width in zip(row[_NUMBERS:], widths[_NUMBERS:], strict=True)]
        yield "  ".join([*words, *numbers]).rstrip()
