"""What tests of the engine share: workers that start as users' do."""

from __future__ import annotations

import multiprocessing

import pytest

from mfsynth.engine import worker


@pytest.fixture(autouse=True)
def spawned_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undo what other tests do to save time."""
    monkeypatch.setattr(worker, "CONTEXT", multiprocessing.get_context("spawn"))
