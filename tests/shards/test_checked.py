"""Shards are compared with the hashes in the manifest before they are read, or while they are."""

from __future__ import annotations

import functools
import http.server
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pytest

import mfsynth
from mfsynth.building.run import Run, build
from mfsynth.errors import ShardError
from mfsynth.options import BuildOptions
from mfsynth.preview.stats import collect
from mfsynth.shards import checked
from mfsynth.storage import digest
from zoo.training.sources import Reader, ShardSource

SHARD = "small-000001.tar"
Read = Callable[[str], object]

READERS: dict[str, Read] = {
    "in order": lambda where: list(mfsynth.open(where)),
    "shuffled": lambda where: list(mfsynth.open(where, shuffle=1)),
    "from the middle": lambda where: list(mfsynth.open(where).read(8, 18)),
    "by place": lambda where: mfsynth.open(where)[7],
    "by key": lambda where: mfsynth.open(where)["000000000043-000"],
    "recipes": lambda where: list(mfsynth.open(where).recipes()),
    "bytes": lambda where: mfsynth.open(where).open_shard(1).__enter__(),
    "statistics": lambda where: collect(where, lambda _done, _total: None),
    "training": lambda where: list(ShardSource(where, 0, holding=False).epoch(0, Reader(), 0)),
}


@pytest.fixture(scope="module")
def other_seed(small_coco: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small recipes with another seed: shards of the same form and other content."""
    out = tmp_path_factory.mktemp("other") / "set"
    options = BuildOptions("small", seed=9, variants=2, shards=3, noise=(0.0, 0.1), store="recipe")
    build(options, Run(small_coco, out, workers=1))
    return out


@pytest.fixture
def swapped(small_recipes: Path, other_seed: Path, tmp_path: Path) -> Path:
    """A data set with a shard of another seed in the place of its own."""
    shutil.copytree(small_recipes, tmp_path / "set")
    shutil.copy(other_seed / SHARD, tmp_path / "set" / SHARD)
    return tmp_path / "set"


@pytest.fixture
def flipped(small_recipes: Path, tmp_path: Path) -> Path:
    """A data set with one bit of a picture's quantization changed: it decodes, to other pixels."""
    shutil.copytree(small_recipes, tmp_path / "set")
    data = bytearray((tmp_path / "set" / SHARD).read_bytes())
    data[data.index(b"\xff\xdb") + 20] ^= 2
    (tmp_path / "set" / SHARD).write_bytes(data)
    return tmp_path / "set"


@pytest.mark.parametrize("name", READERS)
def test_another_shard_in_the_place_of_one_is_noticed_by_every_reader(swapped: Path, name: str) -> None:
    with pytest.raises(ShardError, match=rf"{SHARD} (has \d+ bytes, the manifest says|has the SHA)"):
        READERS[name](str(swapped))


@pytest.mark.parametrize("name", READERS)
def test_one_changed_bit_is_noticed_by_every_reader(flipped: Path, small_recipes: Path, name: str) -> None:
    found, expected = digest(flipped / SHARD), digest(small_recipes / SHARD)
    message = f"{SHARD} has the SHA-256 {found}, the manifest says {expected}; run `mfsynth"
    with pytest.raises(ShardError, match=re.escape(message)):
        READERS[name](str(flipped))


@pytest.mark.parametrize("name", ["in order", "shuffled", "from the middle", "training"])
@pytest.mark.parametrize("check", [True, False])
def test_a_shard_cut_between_samples_is_an_error_for_every_reader(
    small_recipes: Path, tmp_path: Path, name: str, check: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(small_recipes, tmp_path / "set")
    data = (tmp_path / "set" / SHARD).read_bytes()
    (tmp_path / "set" / SHARD).write_bytes(data[: data.index(b"000000000053-001.json")])
    monkeypatch.setattr(mfsynth.open, "__kwdefaults__", mfsynth.open.__kwdefaults__ | {"check": check})  # type: ignore[operator]
    with pytest.raises(ShardError, match=rf"{SHARD} (is cut short|has \d+ bytes)"):
        READERS[name](str(tmp_path / "set"))


def test_without_the_check_the_bytes_are_taken_as_they_are(swapped: Path, other_seed: Path) -> None:
    expected = [scene.recipe.seed for scene in mfsynth.open(other_seed).scenes()]
    found = [scene.recipe.seed for scene in mfsynth.open(swapped, check=False).scenes()]
    assert (found[6:12], found[0]) == (expected[6:12], 0)


def test_a_shard_is_hashed_once_in_a_process_until_it_changes(
    small_recipes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(small_recipes, tmp_path / "set")
    hashed: list[str] = []
    real = checked.wrong_bytes
    monkeypatch.setattr(
        checked, "wrong_bytes", lambda file, shard: hashed.append(shard.name) or real(file, shard)
    )
    for _ in range(2):
        list(mfsynth.open(tmp_path / "set").scenes())
    names = [f"small-{number:06d}.tar" for number in range(3)]
    assert hashed == names
    list(mfsynth.open(tmp_path / "set", shuffle=1).scenes())
    mfsynth.open(tmp_path / "set")[3]
    assert hashed == names
    data = bytearray((tmp_path / "set" / SHARD).read_bytes())
    data[-1] ^= 1
    times = (tmp_path / "set" / SHARD).stat()
    (tmp_path / "set" / SHARD).write_bytes(data)
    os.utime(tmp_path / "set" / SHARD, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(ShardError, match="has the SHA-256"):
        list(mfsynth.open(tmp_path / "set").scenes())


# --- at a URL -----------------------------------------------------------------------------------------


@pytest.fixture
def served(request: pytest.FixtureRequest) -> Iterator[Callable[[Path], str]]:
    """A function that puts a folder behind a web server on this machine."""

    def serve(folder: Path) -> str:
        handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
        handler.log_message = lambda *_: None  # type: ignore[attr-defined]
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        request.addfinalizer(server.shutdown)
        return f"http://127.0.0.1:{server.server_port}"

    return serve


def in_memory(folder: Path) -> str:
    fsspec.filesystem("memory").put(f"{folder}/", f"/{folder.parent.name}/", recursive=True)
    return f"memory://{folder.parent.name}"


@pytest.mark.parametrize("kind", ["in order", "shuffled", "by place", "training"])
@pytest.mark.parametrize("fault", ["swapped", "flipped"])
def test_a_wrong_shard_at_a_url_is_noticed(
    fault: str, kind: str, served: Callable[[Path], str], request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(fault)
    for where in (served(folder), in_memory(folder)):
        with pytest.raises(ShardError, match=rf"{SHARD} (has \d+ bytes, the manifest|has the SHA-256)"):
            READERS[kind](where)


def test_a_stream_is_compared_at_its_end(flipped: Path, served: Callable[[Path], str]) -> None:
    """The shard's samples come first; the error comes before the next shard's."""
    scenes = iter(mfsynth.open(served(flipped)).scenes())
    keys = [next(scenes).key for _ in range(12)]
    assert keys == [scene.key for scene in mfsynth.open(flipped, check=False).scenes()][:12]
    with pytest.raises(ShardError, match=f"{SHARD} has the SHA-256"):
        next(scenes)


def test_a_stream_that_is_not_read_to_its_end_is_not_compared(
    flipped: Path, served: Callable[[Path], str]
) -> None:
    assert len(list(mfsynth.open(served(flipped)).scenes().read(6, 11))) == 5
    assert len(list(mfsynth.open(served(flipped), check=False).scenes())) == 18
