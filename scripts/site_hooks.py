"""Hooks of mkdocs: pages that are made when the site is built. The command line's reference comes from click.

Notebooks are kept without outputs in notebooks/ and run in an empty folder; a cell that fails stops the
build.
"""

from __future__ import annotations

import html
import inspect
import re
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import nbformat
from mkdocs.structure.files import File
from nbconvert import MarkdownExporter
from nbconvert.preprocessors import ExecutePreprocessor

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 300
"""The most that one cell may take."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for every notebook, and its pictures."""
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        page, pictures = notebook(path.read_text("utf-8"), path.stem)
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content=page))
        for name, data in pictures.items():
            files.append(File.generated(config, f"notebooks/{name}", content=data))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the commands where a page asks for them."""
    return (
        markdown.replace("<!-- commands -->", "\n".join(commands()))
        if "<!-- commands -->" in markdown
        else markdown
    )


@cache
def notebook(text: str, name: str) -> tuple[str, dict[str, bytes]]:
    """A notebook's page and its pictures by name, after running it; `mkdocs serve` asks often."""
    found: Any = nbformat.reads(text, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        quiet = ["--IPKernelApp.log_level=ERROR"]  # else every start warns that it listens on the loopback
        runner = ExecutePreprocessor(timeout=SECONDS, kernel_name="python3", extra_arguments=quiet)
        runner.preprocess(found, {"metadata": {"path": folder}})
    for cell in found.cells:  # progress and warnings are not for the page
        cell.outputs = [output for output in cell.get("outputs", []) if output.get("name") != "stderr"]
    page, resources = MarkdownExporter().from_notebook_node(found, {"output_files_dir": name})
    return page, resources["outputs"]


def commands() -> Iterator[str]:
    """The reference of every command, as Markdown."""
    sys.path.insert(0, str(ROOT))
    from mfsynth.cli import main

    context = click.Context(main, info_name="mfsynth", **main.context_settings)
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        assert command is not None
        yield from described(command, click.Context(command, context, name), 2)


def described(command: click.Command, context: click.Context, depth: int) -> Iterator[str]:
    """One command's reference: what it does, its usage, options, examples; then its own commands'."""
    yield from (f"{'#' * depth} {context.command_path}", "", paragraphs(command.help), "")
    yield from (
        "```text",
        " ".join([context.command_path, *command.collect_usage_pieces(context)]),
        "```",
        "",
    )
    records = [record for each in command.params if (record := each.get_help_record(context))]
    explained = [(one_line(names), plain(one_line(text))) for names, text in records if text]
    if explained:
        yield from ("| option | |", "|---|---|")
        yield from (f"| `{names}` | {text} |" for names, text in explained)
        yield ""
    if command.epilog:
        yield from ("```text", command.epilog.replace("\b\n", "\n").strip(), "```", "")
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from described(inner, click.Context(inner, context, name), depth + 1)


def paragraphs(text: str | None) -> str:
    """Help as Markdown."""
    return plain(inspect.cleandoc((text or "").replace("\b\n", "")))


def plain(text: str) -> str:
    """Text in which nothing is Markdown."""
    return re.sub(r"([\[\]*_])", r"\\\1", html.escape(text, quote=False)).replace("|", "&#124;")


def one_line(text: str) -> str:
    """Text for a table's cell."""
    return re.sub(r"\s+", " ", text)
