"""The page in docs/demo, built and opened."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import pytest
from demo.browser import Tool, chromium, installed, opened, served
from filelock import FileLock
from playwright.sync_api import Browser

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def npm() -> None:
    """Node and npm, which the page is built with."""
    for name in ("node", "npm"):
        if shutil.which(name) is None:
            pytest.skip(f"{name}, which builds the page, is not installed")


@pytest.fixture(scope="session")
def folder(npm: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page, built once for all processes of the run. Not to be written to."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    out = base / "demo-page"
    with FileLock(base / "demo-page.lock"):
        if not (out / "service-worker.js").is_file():
            script = ROOT / "scripts" / "build_demo.py"
            env = {**os.environ, "PYTHONPATH": str(ROOT)}
            subprocess.run([sys.executable, script, out, "--space"], check=True, timeout=300, env=env)
    return out


@pytest.fixture(scope="module")  # closed before other tests run: it lives in an event loop of this thread
def browser() -> Iterator[Browser]:
    """Chromium, without a window."""
    path = installed()
    if path is None:
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")
    # without a graphics processor, one is simulated
    with chromium(path, "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader") as browser:
        yield browser


@pytest.fixture(scope="session")
def url(folder: Path) -> Iterator[str]:
    """Where the page is."""
    with served(folder) as (address, _):
        yield address


@pytest.fixture
def page(browser: Browser, url: str) -> Callable[..., AbstractContextManager[Tool]]:
    """Opens the page; `page(has_touch=True)` as a browser with such a context."""
    return partial(opened, browser, url)
