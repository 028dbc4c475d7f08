"""What commands have in common: how they speak, and the options that many of them take."""

from __future__ import annotations

import json
import signal
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import click

from mfsynth.errors import MfsynthError, OptionsError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    Command = TypeVar("Command", bound=Callable[..., object])

FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)


class Report(Protocol):
    """What a command did: for programs, and for people."""

    def to_json(self) -> object:
        """As JSON's own types."""

    def lines(self) -> list[str]:
        """As lines for people."""


def duration(seconds: float) -> str:
    """A time span, in words.

    >>> duration(8.24), duration(150)
    ('8.2 seconds', '2.5 minutes')
    """
    return f"{seconds:.1f} seconds" if seconds < 60 else f"{seconds / 60:.1f} minutes"


def count(number: int, noun: str) -> str:
    """A number of things, in words.

    >>> count(1, "shard"), count(0, "shard"), count(1000, "sample")
    ('1 shard', '0 shards', '1,000 samples')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


@dataclass(frozen=True, slots=True)
class Output:
    """How a command speaks: in lines and progress bars, in JSON, or only when something went wrong."""

    quiet: bool = False
    as_json: bool = False

    @property
    def silent(self) -> bool:
        """Whether nothing is printed besides the report."""
        return self.quiet or self.as_json

    def say(self, text: str) -> None:
        """Print a line to standard error, unless silent."""
        if not self.silent:
            click.echo(f"mfsynth: {text}", err=True)

    def show(self, report: Report, *, always: bool = False) -> None:
        """Print a report; a quiet command prints its lines only if they must be seen."""
        if self.as_json:
            click.echo(json.dumps(report.to_json(), indent=1))
        elif always or not self.quiet:
            text = "\n".join(report.lines())
            click.echo(text.encode(errors="surrogateescape"))  # a path need not be UTF-8

    def fail(self, errors: Mapping[str, str]) -> None:
        """Print what failed, by name, and exit with code 1; return if nothing did."""
        for name, text in errors.items():
            click.echo(f"mfsynth: {name}: {text}", err=True)
        if errors:
            sys.exit(1)

    @contextmanager
    def bar(self, what: str, unit: str) -> Iterator[Callable[[int, int], None]]:
        """A progress bar: the function is called with the number of things done and to do."""
        with _bars(self.silent, unit=unit, leave=False) as progress:
            yield lambda done, total: progress(what, done, total)

    @contextmanager
    def archive_bars(self) -> Iterator[Callable[[str, int, int], None]]:
        """Progress bars in bytes, one for each archive."""
        with _bars(self.silent, unit="B", unit_scale=True) as progress:
            yield progress

    @contextmanager
    def stage_bars(self, unit: str = "it") -> Iterator[Callable[[str, int, int], None]]:
        """Progress bars of successive stages."""
        with _bars(self.silent, unit=unit, leave=False) as progress:
            yield progress

    @contextmanager
    def loss_bar(self) -> Iterator[Callable[[int, int, float], None]]:
        """A progress bar of training steps that also shows the loss."""
        from tqdm import tqdm

        with tqdm(desc="training", unit="step", disable=self.silent or None, leave=False) as line:

            def progress(done: int, total: int, loss: float) -> None:
                line.total = total
                line.set_postfix(loss=f"{loss:.4f}", refresh=False)
                line.update(done - line.n)

            yield progress


@contextmanager
def _bars(silent: bool, **style: Any) -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar for each name, shown from its first call on."""
    from tqdm import tqdm

    bars: dict[str, Any] = {}

    def progress(name: str, done: int, total: int) -> None:
        if name not in bars:
            bars[name] = tqdm(desc=name, total=total, initial=done, disable=silent or None, **style)
        bars[name].total = total
        bars[name].update(done - bars[name].n)

    try:
        yield progress
    finally:
        for line in bars.values():
            line.close()


def stop_on_terminate() -> None:
    """Let SIGTERM clean up as Ctrl-C does."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


# --- the group of all commands ------------------------------------------------------------------------


class Commands(click.Group):
    """Turns our errors into one line and an exit code: 1 for a failure, 2 for options that make no sense.

    Args:
        lazy: Commands by name, each with a function that imports it when it is called.
        resumed: Names of the commands that continue where they were interrupted.
    """

    def __init__(
        self,
        *args: Any,
        lazy: Mapping[str, Callable[[], click.Command]] | None = None,
        resumed: Collection[str] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.lazy, self.resumed = lazy or {}, resumed

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all commands."""
        return [*super().list_commands(ctx), *self.lazy]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A command by its name."""
        return self.lazy[cmd_name]() if cmd_name in self.lazy else super().get_command(ctx, cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except OptionsError as error:
            fail(error, 2)
        except MfsynthError as error:
            fail(error, 1)
        except BrokenPipeError:
            raise  # click handles it: the reader of our output has closed the pipe
        except OSError as error:  # not handled elsewhere, such as a path that is too long
            fail(error, 1)
        except (KeyboardInterrupt, click.Abort):
            again = (
                "; run the same command again to continue" if ctx.invoked_subcommand in self.resumed else ""
            )
            click.echo(f"\nmfsynth: interrupted{again}", err=True)
            sys.exit(130)


def fail(error: Exception, code: int) -> None:
    """Print an error and exit."""
    click.echo(f"mfsynth: {error}".encode(errors="surrogateescape"), err=True)
    sys.exit(code)


class Numbers(click.ParamType[tuple[int, ...]]):
    """Whole numbers separated by commas."""

    name = "ID,…"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Parse the option's text."""
        if isinstance(value, tuple):
            return value
        try:
            return tuple(sorted({int(word) for word in str(value).split(",")}))
        except ValueError:
            self.fail(f"{value!r} is not a list of numbers such as 4,5,7", param, ctx)


# --- options that many commands take ------------------------------------------------------------------


def json_option(command: Command) -> Command:
    """Add --json, as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")(command)


def quiet_option(help: str) -> Callable[[Command], Command]:
    """Add --quiet."""
    return click.option("--quiet", is_flag=True, help=help)


def output_options(command: Command) -> Command:
    """Add --quiet and --json, as `quiet` and `as_json`."""
    return quiet_option("No progress, no report: errors only.")(json_option(command))


def workers_option(help: str = "Processes.  [default: all usable cores]") -> Callable[[Command], Command]:
    """Add --workers."""
    return click.option("--workers", type=click.IntRange(min=1), help=help)


def coco_option(
    help: str = "COCO folder, else $MFSYNTH_COCO, else the user's cache.",
) -> Callable[[Command], Command]:
    """Add --coco."""
    return click.option("--coco", type=FOLDER, help=help)
