"""What commands say: lines, progress bars, reports."""

from __future__ import annotations

import json
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def say_unless(quiet: bool) -> Callable[[str], None]:
    """A function that prints a line to standard error, or does not."""

    def say(text: str) -> None:
        if not quiet:
            click.echo(f"mfsynth: {text}", err=True)

    return say


@contextmanager
def bar(what: str, unit: str, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """A progress bar that is told of things done and to do."""
    from tqdm import tqdm

    with tqdm(desc=what, unit=unit, disable=quiet or None, leave=False) as line:

        def progress(done: int, total: int) -> None:
            line.total = total
            line.update(done - line.n)

        yield progress


@contextmanager
def archive_bar(quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Progress bars in bytes, one for each archive."""
    with _bars(quiet, unit="B", unit_scale=True) as progress:
        yield progress


@contextmanager
def stage_bars(quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Progress bars of stages that follow one another."""
    with _bars(quiet, leave=False) as progress:
        yield progress


@contextmanager
def _bars(quiet: bool, **style: Any) -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar for each name that is told of."""
    from tqdm import tqdm

    bars: dict[str, Any] = {}

    def progress(name: str, done: int, total: int) -> None:
        if name not in bars:
            bars[name] = tqdm(desc=name, total=total, initial=done, disable=quiet or None, **style)
        bars[name].total = total
        bars[name].update(done - bars[name].n)

    try:
        yield progress
    finally:
        for line in bars.values():
            line.close()


def print_report(
    report: dict[str, Any], lines: list[str], given: dict[str, Any], always: bool = False
) -> None:
    """Print a report as JSON or as lines; quiet prints lines only if they must be seen."""
    if given["as_json"]:
        click.echo(json.dumps(report, indent=1))
    elif always or not given["quiet"]:
        click.echo("\n".join(lines))


def stop_on_terminate() -> None:
    """Let a termination clean up as Ctrl-C does."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
