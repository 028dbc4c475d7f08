"""What commands have in common: how they speak, and the options that many of them take."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import click

from mfsynth.errors import MfsynthError, OptionsError
from mfsynth.locations import is_url, local_path, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    Command = TypeVar("Command", bound=Callable[..., object])

_BIDI = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_CONTROLS = (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, *_BIDI)
_ESCAPED = {code: f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" for code in _CONTROLS}
_ESCAPED |= {0xDC00 + code: f"\\x{code:02x}" for code in range(0x80, 0xA0)}
"""What could drive a terminal, or turn the direction of a line; and the bytes of a path that could."""


class LocalPath(click.Path):
    """A path on this machine, also as a `file://` URL; any other URL is refused."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Check the path."""
        path = local_path(value)
        if path is None:
            self.fail(f"{shown(value)} is a URL; only a local path will do here.", param, ctx)
        return super().convert(path if is_url(value) else value, param, ctx)


class Place(click.Path):
    """A path on this machine, or a URL; a `file://` URL becomes the path that it names."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Check a path; what is at a URL is found out when it is used."""
        path = local_path(value)
        return value if path is None else super().convert(path if is_url(value) else value, param, ctx)


FOLDER = LocalPath(file_okay=False, path_type=Path)
FOLDER_OR_URL = Place(file_okay=False, path_type=Path)
FILE = LocalPath(dir_okay=False, path_type=Path)


class Report(Protocol):
    """What a command did: for programs, and for people."""

    def to_json(self) -> object:
        """As JSON's own types."""

    def lines(self) -> list[str]:
        """As lines for people."""


def printable(text: str) -> str:
    r"""A line without control characters: file names, documents and servers can hold any text.

    >>> printable("\x1b[2Jcat.jpg")
    '\\x1b[2Jcat.jpg'
    """
    return text.translate(_ESCAPED)


def duration(seconds: float) -> str:
    """A time span, in words.

    >>> duration(8.24), duration(150)
    ('8.2 seconds', '2.5 minutes')
    """
    return f"{seconds:.1f} seconds" if seconds < 60 else f"{seconds / 60:.1f} minutes"


def about(seconds: float) -> str:
    """A time span that is only estimated, in words.

    >>> about(8.24), about(700), about(8000)
    ('8 seconds', '12 minutes', '2 hours')
    """
    if seconds < 90:
        return count(round(seconds), "second")
    return count(round(seconds / 60), "minute") if seconds < 5400 else count(round(seconds / 3600), "hour")


def count(number: int, noun: str) -> str:
    """A number of things, in words.

    >>> count(1, "shard"), count(0, "shard"), count(1000, "sample")
    ('1 shard', '0 shards', '1,000 samples')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def some(things: Iterable[object], most: int = 5) -> str:
    """The first of several things, in words.

    >>> some([1, 5, 8]), some(range(1000), 2)
    ('1, 5, 8', '0, 1 and 998 more')
    """
    all_of_them = list(things)
    more = f" and {len(all_of_them) - most:,} more" if len(all_of_them) > most else ""
    return ", ".join(map(str, all_of_them[:most])) + more


@dataclass(frozen=True, slots=True)
class Output:
    """How a command speaks: in lines and progress bars, in JSON, or only when something went wrong."""

    quiet: bool = False
    as_json: bool = False

    def __post_init__(self) -> None:
        if self.silent:  # the Hub's client draws bars of its own, in worker processes, too
            os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"

    @property
    def silent(self) -> bool:
        """Whether nothing is printed besides the report."""
        return self.quiet or self.as_json

    def say(self, text: str) -> None:
        """Print a line to standard error, unless silent."""
        if not self.silent:
            _print(f"mfsynth: {text}", err=True)

    def show(self, report: Report, *, always: bool = False) -> None:
        """Print a report; a quiet command prints its lines only if they must be seen."""
        if self.as_json:
            click.echo(json.dumps(report.to_json(), indent=1))
        elif always or not self.quiet:
            for line in report.lines():
                _print(line)

    def result(self, line: str) -> None:
        """Print a line of a report that is shown when it is known, before the whole is; not in JSON."""
        if not self.silent:
            _print(line)

    def fail(self, errors: Mapping[str, str]) -> None:
        """Print what failed, by name, and exit with code 1; return if nothing did."""
        for name, text in errors.items():
            _print(f"mfsynth: {name}: {text}", err=True)
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
    def share_bars(self) -> Iterator[Callable[[str, float, float], None]]:
        """Progress bars of successive stages whose steps may be done in part; they show the time left."""
        form = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}"
        with _bars(self.silent, bar_format=form, miniters=0, leave=False) as progress:
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
def _bars(silent: bool, **style: Any) -> Iterator[Callable[[str, float, float], None]]:
    """A progress bar for each name, shown from its first call on, and until it is full unless it is left."""
    from tqdm import tqdm

    bars: dict[str, Any] = {}

    def progress(name: str, done: float, total: float) -> None:
        if name not in bars:
            told = printable(name)
            bars[name] = tqdm(desc=told, total=total, initial=done, disable=silent or None, **style)
        bars[name].total = total
        bars[name].update(done - bars[name].n)
        if done >= total and not style.get("leave", True):
            bars.pop(name).close()

    try:
        yield progress
    finally:
        for line in bars.values():
            line.close()


def _print(line: str, *, err: bool = False) -> None:
    """Print a line that may hold anything; a path in it need not be UTF-8. Progress bars make way for it."""
    with _no_bars():
        click.echo(printable(line).encode(errors="surrogateescape"), err=err)


@contextmanager
def _no_bars() -> Iterator[None]:
    """Clear the progress bars, if there are any, and draw them again at the end."""
    tqdm = getattr(sys.modules.get("tqdm"), "tqdm", None)
    if tqdm is None:
        yield
    else:
        with tqdm.external_write_mode():
            yield


class _Printable(logging.Formatter):
    """Formats what is logged without control characters."""

    def format(self, record: logging.LogRecord) -> str:
        """The message."""
        return printable(super().format(record)).encode(errors="backslashreplace").decode()


def log_printable() -> None:
    """Let warnings, where nothing else is set up for them, be printed without control characters."""
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(_Printable())


class Terminated(SystemExit):
    """SIGTERM has come."""


def listen_to_signals() -> None:
    """From here on Ctrl-C and SIGTERM raise exceptions, so that a command cleans up."""
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _terminate)


def _terminate(*_: object) -> None:
    raise Terminated(143)


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
        except click.ClickException as error:
            error.message = printable(error.message)  # type: ignore[misc]
            raise
        except OptionsError as error:
            fail(error, 2)
        except MfsynthError as error:
            fail(error, 1)
        except BrokenPipeError:
            raise  # click handles it: the reader of our output has closed the pipe
        except OSError as error:  # not handled elsewhere, such as a path that is too long
            fail(error, 1)
        except (KeyboardInterrupt, click.Abort, Terminated) as error:
            what, code = ("terminated", 143) if isinstance(error, Terminated) else ("interrupted", 130)
            resumed = ctx.invoked_subcommand in self.resumed
            again = "; run the same command again to continue" if resumed else ""
            click.echo(f"\nmfsynth: {what}{again}", err=True)
            sys.exit(code)


def fail(error: Exception, code: int) -> None:
    """Print an error and exit. Its further lines are indented: none can pass for a message of its own."""
    first, *rest = str(error).split("\n")
    _print(f"mfsynth: {first}", err=True)
    for line in rest:
        _print(f"  {line.strip()}", err=True)
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


def engine_options(command: Command) -> Command:
    """Add --engine and --ray-address."""
    engine = click.option(
        "--engine", type=click.Choice(["local", "ray"]), default="local", show_default=True,
        help="Who does the work: this machine, or the nodes of a Ray cluster, which share local folders.",
    )  # fmt: skip
    address = click.option(
        "--ray-address", metavar="HOST:PORT",
        help="The Ray cluster; local starts one here. Else $RAY_ADDRESS, else the one that runs here.",
    )  # fmt: skip
    return engine(address(command))


def coco_option(
    help: str = "COCO folder, or its URL in an object store, else $MFSYNTH_COCO, else the user's cache.",
    type: click.Path = FOLDER_OR_URL,
) -> Callable[[Command], Command]:
    """Add --coco; `type` says what it may be."""
    return click.option("--coco", type=type, help=help)
