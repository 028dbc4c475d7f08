"""What tests of the zoo share: one thread each, as tests run side by side, and commands that have torch."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import torch
from warm_python import Started, WarmPython

from zoo.networks import Config
from zoo.pretrained import FusionModel

Start = Callable[..., AbstractContextManager[Started]]

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def cli(warm: WarmPython) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `mfsynth …` as a user does, in a process of its own, without waiting for torch."""

    def run(
        *args: object, cwd: Path | None = None, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        words = tuple(map(str, args))
        return warm.run(module="mfsynth.cli", args=words, env=env or dict(os.environ), cwd=cwd or Path.cwd())

    return run


@pytest.fixture(scope="session")
def tiny_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny, untrained network for sets. Not to be written to."""
    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("tiny-set")
    config = Config(task="seg", architecture="focus-set", width=2, depth=1, upsampling="bilinear")
    FusionModel(config).eval().save_pretrained(path)
    return path


@pytest.fixture(scope="session")
def started(warm: WarmPython) -> Start:
    """As `cli`, to do something while the command is at work."""

    def start(*args: object) -> AbstractContextManager[Started]:
        words = tuple(map(str, args))
        return warm.started(module="mfsynth.cli", args=words, env=dict(os.environ), cwd=Path.cwd())

    return start
