"""What tests of the zoo share: one thread each, since tests run side by side, and a Python that is warm."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from warm_python import WarmPython

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def warm() -> Iterator[WarmPython]:
    """A Python that has imported torch and the zoo; see warm_python.py."""
    python = WarmPython()
    yield python
    python.close()


@pytest.fixture(scope="session")
def cli(warm: WarmPython) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `mfsynth …` as a user does, in a process of its own, without waiting for torch."""

    def run(
        *args: object, cwd: Path | None = None, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        words = tuple(map(str, args))
        return warm.run(module="mfsynth.cli", args=words, env=env or dict(os.environ), cwd=cwd or Path.cwd())

    return run
