"""What tests share: a cache of their own, the command line, COCO folders small and real."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from coco_folder import Picture, write_coco
from filelock import FileLock
from warm_python import WarmPython

from mfsynth.building.run import Run, build
from mfsynth.coco.official.resolve import demo_folder
from mfsynth.engine import worker
from mfsynth.options import BuildOptions, Store
from mfsynth.storage import cache_folder

SHARED = Path(__file__).parents[2] / "shared"

pytest_plugins = ["hub.fixtures", "s3.fixtures"]

Cli = Callable[..., subprocess.CompletedProcess[str]]


def tree(folder: Path) -> dict[str, str]:
    """Every file's hash, by its path."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep tests away from the user's cache and settings; the processes of a run have one cache."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    for name in ("MFSYNTH_COCO", "MFSYNTH_COCO_URL", "MFSYNTH_CACHE", "MFSYNTH_CACHE_SIZE"):
        os.environ.pop(name, None)


@pytest.fixture(scope="session", autouse=True)
def forked_workers() -> Iterator[None]:
    """Let builds in a test's own process fork their workers from a Python that has imported what they need.

    Users' workers are spawned, and so are those of the tests of the engine and of the command line.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mfsynth.building.make", "mfsynth.verification.check"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker, "CONTEXT", context)
        yield


@pytest.fixture(scope="session")
def shared_coco() -> Path:
    """Real COCO data; too large for the repository, so that a checkout alone does without."""
    if not (SHARED / "coco").is_dir():
        pytest.skip("the real COCO pictures are not beside this checkout")
    return SHARED / "coco"


@pytest.fixture(scope="session")
def shared_golden() -> Path:
    """Published pictures and values of the Lytro set, which are not ours to keep in the repository."""
    if not (SHARED / "golden").is_dir():
        pytest.skip("the published pictures and values are not beside this checkout")
    return SHARED / "golden"


@pytest.fixture(scope="session")
def demo_coco(own_cache: None) -> Path:
    """The demo split, drawn where commands look for it, too. Not to be written to."""
    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / "demo.lock"):  # else each process of the run would draw it
        return demo_folder(cache, print)


@pytest.fixture(scope="session")
def small_coco(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A COCO folder with the split `small`: nine pictures of different sizes. Not to be written to."""
    root = tmp_path_factory.mktemp("coco")
    sizes = [(40, 56), (64, 48), (33, 47), (50, 50), (48, 64), (17, 90), (60, 31), (44, 44), (52, 40)]
    write_coco(root, "small", [Picture(id=10 * k + 3, height=h, width=w) for k, (h, w) in enumerate(sizes)])
    return root


def _build(coco: Path, out: Path, store: Store, **more: Any) -> Path:
    options = BuildOptions("small", variants=2, shards=3, noise=(0.0, 0.1), store=store, **more)
    build(options, Run(coco, out, workers=1))
    return out


STACK: dict[str, Any] = {
    "frames": 12, "kernel": "disk", "radius": (2.0, 6.0), "boundary": "spread", "light": "linear",
    "noise_model": "poisson-gaussian", "capture": "camera",
}  # fmt: skip


@pytest.fixture(scope="session")
def small_pairs(small_coco: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of the small split: 18 noisy samples in 3 shards. Not to be written to."""
    return _build(small_coco, tmp_path_factory.mktemp("pairs") / "set", "pairs")


@pytest.fixture(scope="session")
def small_recipes(small_coco: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same samples as recipes. Not to be written to."""
    return _build(small_coco, tmp_path_factory.mktemp("recipes") / "set", "recipe")


@pytest.fixture(scope="session")
def small_stacks(small_coco: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stacks of twelve frames, recipes of format 2: 18 samples in 3 shards. Not to be written to."""
    return _build(small_coco, tmp_path_factory.mktemp("stacks") / "set", "pairs", **STACK)


@pytest.fixture(scope="session")
def small_stack_recipes(small_coco: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same stacks as recipes. Not to be written to."""
    return _build(small_coco, tmp_path_factory.mktemp("stack-recipes") / "set", "recipe", **STACK)


@pytest.fixture(scope="session")
def cli(light: WarmPython) -> Cli:
    """Runs `mfsynth …` as a user does, in a process of its own, without waiting for its imports."""

    def run(
        *args: object, cwd: Path | None = None, env: dict[str, str] | None = None, **kwargs: Any
    ) -> subprocess.CompletedProcess[str]:
        words = tuple(map(str, args))
        if kwargs:  # what only a new Python can have
            command = [sys.executable, "-m", "mfsynth.cli", *words]
            return subprocess.run(
                command, capture_output=True, text=True, timeout=120, check=False, cwd=cwd, env=env, **kwargs
            )
        return light.run(module="mfsynth.cli", args=words, env=env or dict(os.environ), cwd=cwd or Path.cwd())

    return run


@pytest.fixture(scope="session")
def light() -> Iterator[WarmPython]:
    """A Python that has imported what all commands need but torch; see warm_python.py."""
    python = WarmPython("mfsynth")
    yield python
    python.close()


@pytest.fixture(scope="session")
def warm() -> Iterator[WarmPython]:
    """One that has imported torch and the zoo as well."""
    python = WarmPython("zoo")
    yield python
    python.close()


# --- what a run leaves out, said at its end -----------------------------------------------------------

_left_out: set[str] = set()


def pytest_deselected(items: list[pytest.Item]) -> None:
    _left_out.update(item.nodeid.partition("[")[0] for item in items if item.get_closest_marker("slow"))


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):  # in a process of pytest-xdist
        session.config.workeroutput["left_out"] = sorted(_left_out)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    _left_out.update(getattr(node, "workeroutput", {}).get("left_out", ()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _left_out:
        terminalreporter.write_line("left out, since they take minutes (make test-slow runs them):")
        for name in sorted(_left_out):
            terminalreporter.write_line(f"  {name}")
