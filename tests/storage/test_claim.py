"""A claim in an object store excludes others, also where a store ignores the condition of a request."""

from __future__ import annotations

from pathlib import Path

import pytest

from mfsynth import locks
from mfsynth.storage import claim as claims
from mfsynth.storage.claim import claim


class Careless:
    """A store that overwrites whatever it is told to create, as some S3 servers do."""

    location = "s3://bucket/set"

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def create(self, name: str, data: bytes) -> bool:
        self.objects[name] = data
        return True

    def read(self, name: str) -> bytes | None:
        return self.objects.get(name)

    replace = create

    def remove(self, name: str) -> None:
        self.objects.pop(name, None)


def from_elsewhere(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """From now on, lock files are those of another machine."""
    monkeypatch.setattr(locks, "lock_path", lambda _: folder / "lock")


def test_a_live_claim_is_respected_where_creating_overwrites(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "RENEWED", 0.05)
    monkeypatch.setattr(claims, "_LOOK", 0.02)
    store = Careless()
    from_elsewhere(monkeypatch, tmp_path / "one")
    first = claim(store, "lock", print)
    assert first is not None
    from_elsewhere(monkeypatch, tmp_path / "other")
    assert claim(store, "lock", print) is None
    first.check()
    first.release()
    second = claim(store, "lock", print)
    assert second is not None
    second.release()


def test_a_claim_whose_making_is_interrupted_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the next build on another machine would watch it for a minute and a half."""

    class Interrupted(Careless):
        def create(self, name: str, data: bytes) -> bool:
            super().create(name, data)
            raise KeyboardInterrupt

    from_elsewhere(monkeypatch, tmp_path)
    store = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        claim(store, "lock", print)
    assert not store.objects
    held = claim(Careless(), "lock", print)  # and so is the lock file
    assert held is not None
    held.release()
