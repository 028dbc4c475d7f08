"""A hook of mkdocs: runs the notebooks in an empty folder and adds them to the site as pages.

They are kept without outputs in notebooks/; what a page shows was computed when the site was built. A cell
that fails stops the build.
"""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
from mkdocs.structure.files import File
from nbconvert import MarkdownExporter
from nbconvert.preprocessors import ExecutePreprocessor

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
SECONDS = 300
"""The most that one cell may take."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for every notebook, and its pictures."""
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        page, pictures = render(path.read_text("utf-8"), path.stem)
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content=page))
        for name, data in pictures.items():
            files.append(File.generated(config, f"notebooks/{name}", content=data))
    return files


@cache
def render(text: str, name: str) -> tuple[str, dict[str, bytes]]:
    """A notebook's page and its pictures by name, after running it; `mkdocs serve` asks often."""
    notebook: Any = nbformat.reads(text, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        quiet = ["--IPKernelApp.log_level=ERROR"]  # else every start warns that it listens on the loopback
        runner = ExecutePreprocessor(timeout=SECONDS, kernel_name="python3", extra_arguments=quiet)
        runner.preprocess(notebook, {"metadata": {"path": folder}})
    page, resources = MarkdownExporter().from_notebook_node(notebook, {"output_files_dir": name})
    return page, resources["outputs"]
