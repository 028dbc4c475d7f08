"""Whether a command or Python in the documentation could run, for what check_docs.py cannot run.

What names a thing of ours must exist: commands and options of mfsynth, extras, scripts, targets of make.
"""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Collection, Sequence
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[1]


class CheckError(Exception):
    """A page that says what is not so."""


def parse_python(text: str, line: int) -> None:
    """Check that Python compiles.

    Raises:
        CheckError: If it does not.
    """
    try:
        compile("\n" * (line - 1) + text, "the page", "exec")
    except SyntaxError as error:
        raise CheckError(str(error)) from error


def parse_command(text: str) -> None:
    """Check a line of shell.

    Raises:
        CheckError: If it names a command, option, extra, script or target that does not exist.
    """
    words = shlex.split(text, comments=True)
    while words and re.fullmatch(r"\w+=.*", words[0]):
        words = words[1:]
    program, rest = words[0], words[1:]
    if "mfsynth" in words and (program == "mfsynth" or "-m" in words):
        _parse_mfsynth(words[words.index("mfsynth") + 1 :])
    elif program == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
        _check_known([word for word in rest if "=" not in word], targets, "target")
    elif program == "python":
        scripts = [word for word in rest[:1] if word.endswith(".py")]
        _check_known(scripts, [word for word in scripts if (ROOT / word).exists()], "script")
    elif program == "pip":
        project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
        named = re.findall(r"(?:\.|mfsynth)\[([\w,]+)\]", text)
        _check_known(",".join(named).split(",") if named else [], project["optional-dependencies"], "extra")


def _check_known(names: Sequence[str], known: Collection[str], kind: str) -> None:
    for name in names:
        if name not in known:
            raise CheckError(f"there is no {kind} {name}")


def _parse_mfsynth(words: Sequence[str]) -> None:
    """Options and arguments as click takes them; files that they name need not exist."""
    from mfsynth.cli import main

    command: click.Command = main
    context, rest = click.Context(main, info_name="mfsynth"), list(words)
    while isinstance(command, click.Group):
        name = rest.pop(0) if rest else ""
        found = command.get_command(context, name)
        if found is None:
            raise CheckError(f"there is no command {context.command_path} {name}")
        command, context = found, click.Context(found, context, name)
    for parameter in command.params:
        if isinstance(parameter.type, click.Path):
            parameter.type.exists = False
    try:
        command.make_context(context.info_name, rest, parent=context.parent)
    except click.ClickException as error:
        raise CheckError(error.format_message()) from error
