"""Runs what README.md and docs/ show, so that no example can lie.

    python scripts/check_docs.py                  # all pages
    python scripts/check_docs.py docs/tutorial.md # one page
    python scripts/check_docs.py --update         # and write what commands say now into the pages

In a ```console block, lines after "$ " are commands, the others what they say. A page's blocks run in order
in one empty folder, with a Hub of its own; ```python blocks run as scripts. What commands say must be what
the page shows, but for what varies from run to run: times, sizes, decimals, seeds, hashes, versions. A line
"…" stands for any lines. Comments in the page change that:

    <!-- check: parse: REASON -->   do not run the next block: see parse_commands.py
    <!-- check: fails -->           the last command of the next block is meant to fail
    <!-- check: setup COMMAND -->   run this before going on; readers do not see it
    <!-- check: one script -->      the page's Python is one script, run where its last block stands
"""

from __future__ import annotations

import difflib
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import click
from parse_commands import ROOT, CheckError, parse_command, parse_python

sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from hub.server import User, serving  # noqa: E402

SECONDS = 120
"""The most that one command may take."""
ANY = "…"
_BLOCK = re.compile(r"^```(console|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(
    r"^<!-- check: (parse(?=: )|fails|one script|setup(?= ))((?:(?!-->).)*?) -->$", re.MULTILINE | re.DOTALL
)
_VARIES = (
    (r"--seed \d+", "--seed N"),
    (r"\b\d+(\.\d+){2,}\b", "VERSION"),
    (r"\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{7,64}\b", "HASH"),
    (r"\d+(\.\d+)?e[-+]?\d+|\d+\.\d+|\d{1,3}(,\d{3})+", "N"),
    (r"\b(N|\d+) ?(?=(s|ms|seconds?|minutes?|kB|MB|GB|dB|%|samples/s)(\W|$))", "N "),
    (r"^ +(N|\d+)  (?=\S)", " N "),
    (r"\*\*", ""),  # the best of a table, which is close sometimes
    (r"(?<=\S) {2,}", " "),
)
"""What may differ between two runs, and what stands for it; of tables also the width of the gaps."""
_HIDDEN = re.compile(r"mfsynth: (drawing the demo split to .*, once|computed by \w+)\n")
"""Said by whichever page comes first, and by whatever is the fastest on a machine."""


@dataclass(frozen=True)
class Step:
    """A command and what the page says that it prints, or a Python block."""

    line: int
    kind: str
    text: str
    shown: tuple[str, ...] = ()
    fails: bool = False
    hidden: bool = False


@dataclass(frozen=True)
class Block:
    """A block as it stands in a page: where its text lies, its first line, and the comments before it."""

    span: tuple[int, int]
    line: int
    kind: str
    text: str
    marks: frozenset[str] = frozenset()

    def steps(self) -> Iterator[Step]:
        """What it does, in order."""
        if self.kind != "console":
            yield Step(self.line, self.kind, self.text)
            return
        found: list[Step] = []
        for number, line in enumerate(self.text.splitlines(), self.line):
            if line.startswith("$ "):
                found.append(Step(number, "console", line[2:]))
            elif not found:
                raise CheckError(f"line {number}: output before any command")
            elif found[-1].text.endswith("\\"):
                found[-1] = replace(found[-1], text=f"{found[-1].text}\n{line.removeprefix('> ')}")
            else:
                found[-1] = replace(found[-1], shown=(*found[-1].shown, line))
        yield from found[:-1]
        yield replace(found[-1], fails="fails" in self.marks)


@dataclass
class Page:
    """A page, the folder that its blocks run in, and what was found wrong."""

    path: Path
    folder: Path
    env: dict[str, str]
    update: bool = False
    problems: list[str] = field(default_factory=list)

    def check(self) -> list[str]:
        """Run or parse everything; with `update`, rewrite the page."""
        text = self.path.read_text("utf-8")
        pieces: list[tuple[tuple[int, int], str]] = []
        for block in joined(blocks(text)):
            try:
                if "parse" in block.marks:
                    self.parse(block)
                elif block.kind == "python":
                    self.python(block)
                elif block.kind == "setup":
                    self.console(block)
                else:
                    pieces.append((block.span, self.console(block)))
            except CheckError as error:
                self.problems.append(f"{self.path}: {error}")
        if self.update:
            self.path.write_text(replaced(text, pieces), "utf-8")
        return self.problems

    def console(self, block: Block) -> str:
        """Run a block's commands; its text with what they say now."""
        lines: list[str] = []
        for step in block.steps():
            if step.text.startswith(("pip ", "make ")) and block.kind == "console":
                raise CheckError(
                    f"line {step.line}: $ {step.text}\nput <!-- check: parse: REASON --> before this"
                )
            code, said = self.run(["bash", "-c", step.text])
            if (code != 0) != step.fails:
                self.problems.append(
                    f"{self.path}: line {step.line}: $ {step.text}\nexit code {code}\n{said}"
                )
                said = "\n".join(step.shown)
            elif block.kind == "console" and not agrees(step.shown, said.splitlines()):
                if not self.update:
                    self.problems.append(
                        f"{self.path}: line {step.line}: $ {step.text}\n{lie(step.shown, said)}"
                    )
                step = replace(step, shown=shortened(step.shown, said.splitlines()))
            lines += ["$ " + step.text.replace("\n", "\n> "), *step.shown]
        return "".join(f"{line}\n" for line in lines)

    def parse(self, block: Block) -> None:
        """Check a block without running it."""
        if block.kind == "python":
            parse_python(block.text, block.line)
            return
        for step in block.steps():
            try:
                parse_command(step.text)
            except CheckError as error:
                self.problems.append(f"{self.path}: line {step.line}: $ {step.text}\n{error}")

    def python(self, block: Block) -> None:
        """Run a script; its lines have the page's numbers."""
        name = self.folder.parent / f"{self.path.stem}.py"
        name.write_text("\n" * (block.line - 1) + block.text, "utf-8")
        code, said = self.run([sys.executable, str(name)])
        if code:
            raise CheckError(said)

    def run(self, command: Sequence[str]) -> tuple[int, str]:
        """The exit code and everything that was printed, with the names that a reader would see."""
        started = subprocess.Popen(
            command, cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, process_group=0,
        )  # fmt: skip
        try:
            said, _ = started.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(started.pid, signal.SIGKILL)  # its children, too
            return 124, f"took more than {SECONDS} s"
        said = said.replace(self.env["HF_ENDPOINT"], "https://huggingface.co")
        said = said.replace(self.env["XDG_CACHE_HOME"], "~/.cache").replace(f"{self.folder}", "~")
        return started.returncode, _HIDDEN.sub("", said)


def blocks(text: str) -> Iterator[Block]:
    """A page's blocks and hidden commands, in order."""
    marks: set[str] = set()
    for found in sorted([*_COMMENT.finditer(text), *_BLOCK.finditer(text)], key=re.Match.start):
        line = text.count("\n", 0, found.start(2)) + 1 if found[2] else 0
        if found.re is _BLOCK:
            yield Block(found.span(2), line, found[1], found[2], frozenset(marks))
            marks = set()
        elif found[1] == "setup":
            yield Block((found.end(), found.end()), line, "setup", found[2].strip())
        else:
            marks.add(found[1])


def joined(found: Iterable[Block]) -> list[Block]:
    """The blocks of a page, its Python as one script in place of its last block if the page says so."""
    found = list(found)
    scripts = [block for block in found if block.kind == "python" and "parse" not in block.marks]
    if not any("one script" in block.marks for block in found):
        return found
    first, text = scripts[0], ""
    for block in scripts:
        text += "\n" * (block.line - first.line - text.count("\n")) + block.text
    whole = replace(first, text=text)
    return [whole if block is scripts[-1] else block for block in found if block not in scripts[:-1]]


def replaced(text: str, pieces: Sequence[tuple[tuple[int, int], str]]) -> str:
    """A text with other words in some places."""
    for (start, end), new in reversed(pieces):
        text = text[:start] + new + text[end:]
    return text


# --- comparing ----------------------------------------------------------------------------------------


def plain(line: str) -> str:
    """A line without what varies."""
    for pattern, word in _VARIES:
        line = re.sub(pattern, word, line)
    return line.rstrip()


def agrees(shown: Sequence[str], said: Sequence[str]) -> bool:
    """Whether a command said what the page shows."""
    pattern = "".join(r"(?:.*\n)*" if line == ANY else re.escape(plain(line)) + "\n" for line in shown)
    return re.fullmatch(pattern, "".join(plain(line) + "\n" for line in said)) is not None


def shortened(shown: Sequence[str], said: Sequence[str]) -> tuple[str, ...]:
    """What a command says, cut where the page cut it: as many lines before and after as the page shows."""
    if ANY not in shown:
        return tuple(said)
    before, after = shown.index(ANY), len(shown) - 1 - shown.index(ANY)
    return (*said[:before], ANY, *said[len(said) - after :])


def lie(shown: Sequence[str], said: str) -> str:
    """The difference for people."""
    return "\n".join(difflib.unified_diff(shown, said.splitlines(), "the page", "the command", lineterm=""))


# --- running ------------------------------------------------------------------------------------------


def length(page: Path) -> int:
    """How many things a page runs: a rough measure of how long that takes."""
    text = page.read_text("utf-8")
    return sum(len(list(block.steps())) for block in blocks(text) if "parse" not in block.marks)


def check_page(path: Path, cache: Path, update: bool, threads: int) -> list[str]:
    """Check one page, with a folder and a Hub of its own."""
    with serving() as hub, tempfile.TemporaryDirectory(prefix="docs-") as home:
        folder = Path(home).resolve() / "work"
        folder.mkdir()
        token = hub.add_user(User("you", "hf_token_of_you")).token
        own = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "MFSYNTH_"))}
        env = own | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{own['PATH']}",
            "PYTHONPATH": os.pathsep.join([*own.get("PYTHONPATH", "").split(os.pathsep), *sys.path[:2]]),
            "XDG_CACHE_HOME": str(cache), "COLUMNS": "110", "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1",
            "HF_ENDPOINT": hub.url, "HF_TOKEN": token, "HF_HOME": str(folder.parent / "hf"),
            "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "OMP_NUM_THREADS": f"{threads}",
        }  # fmt: skip
        return Page(path, folder, env, update).check()


def count(number: int, thing: str) -> str:
    """A number of things in words."""
    return f"{number or 'no'} {thing}{'s' * (number != 1)}"


@click.command()
@click.argument("pages", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--update", is_flag=True, help="Write what commands say now into the pages.")
@click.option("--jobs", default=2, show_default=True, help="Pages at a time.")
def main(pages: Sequence[Path], update: bool, jobs: int) -> None:
    """Run what README.md and docs/ show. Exit code 1 if a page lies."""
    pages = pages or [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    pages = [page for page in pages if any(blocks(page.read_text("utf-8")))]
    pages = sorted(pages, key=length, reverse=True)
    threads = max(1, (os.cpu_count() or 1) // jobs)  # more would wait for each other
    with tempfile.TemporaryDirectory() as cache, ThreadPoolExecutor(jobs) as pool:
        results = list(pool.map(lambda page: check_page(page, Path(cache), update, threads), pages))
    problems = [problem for result in results for problem in result]
    for problem in problems:
        click.echo(problem + "\n", err=True)
    click.echo(f"{count(len(pages), 'page')}, {count(len(problems), 'problem')}")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
