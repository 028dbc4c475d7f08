"""A folder that keeps remote shards: one download each, within a limit, whatever dies or breaks meanwhile."""

from __future__ import annotations

import functools
import hashlib
import logging
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mfsynth
from mfsynth import storage
from mfsynth.building.run import Run, build
from mfsynth.errors import OptionsError, ShardError
from mfsynth.options import BuildOptions
from mfsynth.shards import cache as caches
from mfsynth.shards.cache import Cache, bytes_of
from mfsynth.shards.reader import DataSet
from tests.coco.http_server import Served, Server, serving

Open = Callable[..., DataSet[Any]]

NAMES = [f"small-{number:06d}.tar" for number in range(3)]
QUICK = storage.Patience(tries=3, pause=0.001, longest=0.01, timeout=5)


def serve(server: Server, folder: Path) -> None:
    server.files = {f"/{path.name}": Served(path.read_bytes()) for path in folder.iterdir() if path.is_file()}


@pytest.fixture
def server(small_recipes: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A web server with 18 samples in 3 shards."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as running:
        serve(running, small_recipes)
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def opened(server: Server, folder: Path) -> Open:
    """Opens the data set with a cache."""
    return functools.partial(mfsynth.open, server.url, cache=folder)


def downloads(server: Server) -> list[str]:
    """The shards that were asked for, in order."""
    return [each.path[1:] for each in server.log if each.method == "GET" and each.path.endswith(".tar")]


def kept(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.name != ".lock"}


def copy_of(folder: Path, shards: Path, number: int) -> Path:
    """Where a shard's copy is: by its hash."""
    return folder / f"{hashlib.sha256((shards / NAMES[number]).read_bytes()).hexdigest()}.tar"


def size_of(shards: Path, *numbers: int) -> int:
    return sum((shards / NAMES[number]).stat().st_size for number in numbers)


def contents(data: DataSet[Any]) -> list[str]:
    found = []
    for number in range(3):
        with data.open_shard(number) as file:
            found.append(hashlib.sha256(file.read()).hexdigest())
    return found


def touch(data: DataSet[Any], number: int) -> None:
    """Use a shard."""
    data[6 * number]
    data[6 * number + 1]


# --- what is kept -------------------------------------------------------------------------------------


@pytest.mark.parametrize("shuffle", [None, 3])
def test_each_shard_is_downloaded_once(
    opened: Open, server: Server, folder: Path, small_recipes: Path, shuffle: int | None
) -> None:
    data = opened(shuffle=shuffle).scenes()
    for epoch in range(3):
        expected = [scene.key for scene in mfsynth.open(small_recipes, shuffle=shuffle, epoch=epoch).scenes()]
        assert [scene.key for scene in data.at(epoch)] == expected
    assert [scene.key for scene in opened().scenes().read(3, 9)]
    assert len(list(opened().recipes())) == 18
    assert opened().scenes()["000000000043-001"].key == "000000000043-001"
    assert contents(opened()) == [copy_of(folder, small_recipes, number).stem for number in range(3)]
    assert sorted(downloads(server)) == NAMES
    assert kept(folder) == {copy_of(folder, small_recipes, number).name for number in range(3)}


def test_only_what_is_read_is_downloaded(opened: Open, server: Server) -> None:
    assert len(list(opened().scenes().read(7, 11))) == 4
    assert downloads(server) == [NAMES[1]]


def test_recipes_make_no_copies_but_use_them(opened: Open, server: Server, folder: Path) -> None:
    opened().scenes()[7]
    server.files[f"/{NAMES[1]}"].statuses = [404]
    assert len(list(opened().recipes())) == 18
    assert len(kept(folder)) == 1


def test_a_rebuilt_data_set_is_read_anew(
    opened: Open, server: Server, folder: Path, small_coco: Path, tmp_path: Path
) -> None:
    before = [scene.recipe for scene in opened().scenes()]
    options = BuildOptions("small", seed=9, variants=2, shards=3, noise=(0.0, 0.1), store="recipe")
    build(options, Run(small_coco, tmp_path / "rebuilt", workers=1))
    serve(server, tmp_path / "rebuilt")
    after = [scene.recipe for scene in opened().scenes()]
    assert after == list(mfsynth.open(tmp_path / "rebuilt").recipes()) != before
    assert len(kept(folder)) == 6


def test_the_environment_names_a_cache(
    server: Server, folder: Path, small_recipes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MFSYNTH_CACHE", str(folder))
    monkeypatch.setenv("MFSYNTH_CACHE_SIZE", f"{size_of(small_recipes, 0, 1)}")
    for _ in range(2):
        assert len(list(mfsynth.open(server.url).scenes().read(0, 12))) == 12
    assert downloads(server) == NAMES[:2]
    list(mfsynth.open(server.url).scenes())
    assert len(kept(folder)) < 3


def test_a_local_data_set_is_read_in_place(small_recipes: Path, folder: Path) -> None:
    assert len(list(mfsynth.open(small_recipes, cache=folder, cache_size=5).scenes())) == 18
    assert not folder.exists()


def test_a_file_system_of_fsspec_is_cached_as_well(small_recipes: Path, folder: Path) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.put(f"{small_recipes}/", "/cached/", recursive=True)
    data = mfsynth.open("memory://cached", cache=folder).scenes()
    keys = [scene.key for scene in data]
    for name in NAMES:
        memory.rm(f"/cached/{name}")
    assert [scene.key for scene in data] == keys


# --- the limit ----------------------------------------------------------------------------------------


def test_the_least_recently_used_shards_make_room(
    opened: Open, server: Server, folder: Path, small_recipes: Path
) -> None:
    data = opened(
        cache_size=max(
            size_of(small_recipes, 0, 1), size_of(small_recipes, 1, 2), size_of(small_recipes, 0, 2)
        )
    ).scenes()
    copies = [copy_of(folder, small_recipes, number).name for number in range(3)]
    for number, left in (
        (0, {0}),
        (1, {0, 1}),
        (0, {0, 1}),
        (2, {0, 2}),
        (1, {1, 2}),
        (2, {1, 2}),
        (0, {0, 2}),
    ):
        touch(data, number)
        assert kept(folder) == {copies[each] for each in left}
    assert downloads(server) == [NAMES[number] for number in (0, 1, 2, 1, 0)]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(places=st.lists(st.integers(0, 17), max_size=8), room=st.floats(1, 2.5), shuffle=st.integers(0, 3))
def test_the_folder_never_holds_more(
    opened: Open, folder: Path, small_recipes: Path, places: list[int], room: float, shuffle: int
) -> None:
    """Nor more than a lower limit than before."""
    limit = int(room * max(size_of(small_recipes, number) for number in range(3)))
    data = opened(cache_size=limit, shuffle=shuffle).scenes()
    keys = [scene.key for scene in mfsynth.open(small_recipes).scenes()]
    for place in places:
        assert data[place].key == keys[place]
        assert sum(path.stat().st_size for path in folder.iterdir()) <= limit
    del data  # it keeps the last shard open
    assert sorted(scene.key for scene in opened(cache_size=limit, shuffle=shuffle).scenes()) == keys
    assert sum(path.stat().st_size for path in folder.iterdir()) <= limit


def test_a_limit_that_a_shard_exceeds_is_refused(opened: Open, small_recipes: Path) -> None:
    sizes = {size_of(small_recipes, number): NAMES[number] for number in range(3)}
    limit, name = max(sizes) - 1, sizes[max(sizes)]
    with pytest.raises(
        OptionsError, match=rf"a cache of {limit:,} bytes cannot hold {name}, which has {limit + 1:,}; raise"
    ):
        opened(cache_size=limit)
    assert len(list(opened(cache_size=limit + 1).scenes())) == 18


def test_what_is_being_read_stays(
    opened: Open, server: Server, folder: Path, small_recipes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = opened(
        cache_size=max(
            size_of(small_recipes, 0, 1), size_of(small_recipes, 1, 2), size_of(small_recipes, 0, 2)
        )
    )
    with data.open_shard(0):
        for number in (1, 2, 1, 2):
            with data.open_shard(number):
                assert copy_of(folder, small_recipes, 0).exists()
    assert downloads(server) == [NAMES[number] for number in (0, 1, 2, 1, 2)]
    monkeypatch.setattr(caches, "WAIT", 0.2)
    with data.open_shard(0), data.open_shard(1):
        with pytest.raises(
            ShardError,
            match=rf"being read leave no room for {NAMES[2]} in the cache {folder} of .*raise its limit",
        ):
            touch(data, 2)
        assert len(kept(folder)) == 2
    touch(data, 2)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("50GB", 50 * 10**9),
        ("50g", 50 * 10**9),
        ("1.5 TB", 15 * 10**11),
        ("2GiB", 2 << 30),
        ("7", 7),
        (7, 7),
        ("7B", 7),
        ("3 kB", 3000),
    ],
)
def test_sizes_are_understood(text: str | int, size: int) -> None:
    assert bytes_of(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-5", "0", "0.0001kB", "5 bananas", "1e9", "nan", 0, -1])
def test_other_sizes_are_refused(opened: Open, text: str | int) -> None:
    with pytest.raises(OptionsError, match="is not a size; write a number of bytes, or a text such as 50GB"):
        opened(cache_size=text)


def test_a_wrong_size_in_the_environment_is_found_there(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MFSYNTH_CACHE_SIZE", "oops")
    with pytest.raises(OptionsError, match=r"^MFSYNTH_CACHE_SIZE: 'oops' is not a size; write a number of"):
        mfsynth.open(server.url, cache=tmp_path)
    with pytest.raises(OptionsError, match=r"^'much' is not a size"):
        mfsynth.open(server.url, cache=tmp_path, cache_size="much")


def test_a_limit_needs_a_folder_and_the_folder_is_local(server: Server, tmp_path: Path) -> None:
    with pytest.raises(OptionsError, match="has a limit but no folder; name it, or set MFSYNTH_CACHE"):
        mfsynth.open(server.url, cache_size="1GB")
    with pytest.raises(OptionsError, match="s3://bucket/x is a URL; name a local folder"):
        mfsynth.open(server.url, cache="s3://ann:secret@bucket/x")
    (tmp_path / "file").touch()
    with pytest.raises(
        ShardError, match=rf"cannot keep shards in the cache {tmp_path}/file: File exists; choose"
    ):
        mfsynth.open(server.url, cache=tmp_path / "file")
    with pytest.raises(ShardError, match=r"cannot keep shards in the cache .*: embedded null byte; choose"):
        mfsynth.open(server.url, cache="a\0b")


# --- what arrives wrong, or not at all ----------------------------------------------------------------


class Turns(dict[str, Served]):
    """Files of a server of which one changes after each request."""

    def __init__(self, files: dict[str, Served], path: str, *turns: bytes) -> None:
        super().__init__(files)
        self.path, self.turns = path, [Served(data) for data in turns]

    def get(self, path: str, default: Any = None) -> Any:
        return self.turns.pop(0) if path == self.path and self.turns else super().get(path, default)


def flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def test_a_wrong_shard_is_fetched_once_more(
    opened: Open, server: Server, small_recipes: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good = server.files[f"/{NAMES[1]}"].data
    for wrong in (flipped(good), good + b"more", good[:-512]):
        server.files = Turns(server.files, f"/{NAMES[1]}", wrong)
        for path in opened().cache.folder.glob("*.tar"):  # type: ignore[union-attr]
            path.unlink()
        assert contents(opened()) == [
            hashlib.sha256((small_recipes / name).read_bytes()).hexdigest() for name in NAMES
        ]
    assert downloads(server) == [NAMES[number] for number in (0, 1, 1, 2)] * 3
    assert any(f"{NAMES[1]} has the SHA-256" in line and "once more" in line for line in caplog.messages)


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("chunked", [True, False])
def test_a_shard_that_stays_wrong_is_named_and_not_kept(
    opened: Open, server: Server, folder: Path, check: bool, chunked: bool
) -> None:
    good = server.files[f"/{NAMES[1]}"].data
    for wrong, message in (
        (flipped(good), "has the SHA-256"),
        (good + bytes(9_000_000), r"has \d+ bytes"),
        (good[:99], "has 99 bytes"),
    ):
        server.log.clear()
        server.files[f"/{NAMES[1]}"] = Served(wrong, chunked=chunked)
        with pytest.raises(ShardError, match=f"{NAMES[1]} {message}.*the manifest says"):
            opened(check=check).scenes()[7]
        assert downloads(server) == [NAMES[1]] * 2
        assert kept(folder) == set()


def test_a_download_goes_on_after_faults(
    opened: Open, server: Server, monkeypatch: pytest.MonkeyPatch, small_recipes: Path
) -> None:
    monkeypatch.setattr(storage, "open_file", functools.partial(storage.open_file, patience=QUICK))
    server.files[f"/{NAMES[0]}"].drops = [5000, 0]
    server.files[f"/{NAMES[1]}"].statuses = [503, 500]
    assert contents(opened()) == [
        hashlib.sha256((small_recipes / name).read_bytes()).hexdigest() for name in NAMES
    ]
    assert [each.range for each in server.gets(f"/{NAMES[0]}")] == [None, "bytes=5000-", "bytes=5000-"]


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"statuses": [404]}, "is not there"),
        ({"statuses": [403]}, "answers 403"),
        ({"statuses": [503] * 9}, r"answers 503 \(3 tries in a row\)"),
    ],
    ids=str,
)
def test_a_shard_that_stays_away_is_named(
    opened: Open,
    server: Server,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: dict[str, Any],
    message: str,
) -> None:
    monkeypatch.setattr(storage, "open_file", functools.partial(storage.open_file, patience=QUICK))
    server.files[f"/{NAMES[1]}"] = Served(b"", **fault)
    with pytest.raises(ShardError, match=f"{NAMES[1]}.* {message}"):
        list(opened(shuffle=1).scenes())
    assert not list(folder.glob("*.part"))


def test_a_full_disk_is_said(server: Server, folder: Path, small_recipes: Path) -> None:
    """A limit on file sizes stands in for a full disk: writing fails in the same place."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))

    code = "import sys, mfsynth; mfsynth.open(sys.argv[1], cache=sys.argv[2]).scenes()[0]"
    command = [sys.executable, "-c", code, server.url, folder]
    full = subprocess.run(command, preexec_fn=limit, capture_output=True, text=True, timeout=60, check=False)
    told = f"cannot keep {NAMES[0]} in the cache {folder}: File too large; free some space, or give"
    assert told in full.stderr
    assert kept(folder) == set()


# --- what breaks in the folder ------------------------------------------------------------------------


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("shuffle", [None, 1])
def test_a_damaged_copy_is_replaced(
    opened: Open,
    server: Server,
    folder: Path,
    small_recipes: Path,
    check: bool,
    shuffle: int | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    data = opened(check=check, shuffle=shuffle).scenes()
    keys = [scene.key for scene in data]
    cut, bad = copy_of(folder, small_recipes, 0), copy_of(folder, small_recipes, 1)
    cut.write_bytes(cut.read_bytes()[:-512])
    if check:
        bad.write_bytes(flipped(bad.read_bytes()))
    assert [scene.key for scene in data] == keys
    assert len(downloads(server)) == (5 if check else 4)
    assert {path.stem for path in folder.glob("*.tar")} == {
        storage.digest(path) for path in folder.glob("*.tar")
    }
    assert any(f"the copy of {NAMES[0]} in the cache has" in line for line in caplog.messages)
    assert len(caplog.messages) == (2 if check else 1)


def test_a_copy_is_hashed_once_in_a_process(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not at all in the process that downloaded it; in others, whoever uses it meanwhile."""
    hashed: list[str] = []
    real = caches.wrong_bytes
    monkeypatch.setattr(
        caches, "wrong_bytes", lambda file, shard: hashed.append(shard.name) or real(file, shard)
    )
    contents(opened())
    assert hashed == []
    caches._compared.clear()
    for _ in range(2):
        contents(opened())
    assert hashed == NAMES


def test_a_folder_that_is_emptied_meanwhile_is_filled_again(opened: Open, folder: Path) -> None:
    data = opened(shuffle=1).scenes()
    keys = [scene.key for scene in data]
    for path in folder.iterdir():
        path.unlink()
    assert [scene.key for scene in data] == keys


def test_other_files_in_the_folder_are_left_alone(opened: Open, folder: Path, small_recipes: Path) -> None:
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    (folder / "val2017-000000.tar").write_bytes(bytes(1 << 20))
    data = opened(cache_size=max(size_of(small_recipes, number) for number in range(3)))
    for number in range(3):
        touch(data.scenes(), number)
    assert {"notes.txt", "val2017-000000.tar"} < kept(folder)
    assert len(kept(folder)) == 3


# --- several processes --------------------------------------------------------------------------------

READ = """
import sys
import mfsynth
where, cache, limit, epochs, seed = sys.argv[1:]
data = mfsynth.open(where, cache=cache, cache_size=limit, shuffle=int(seed)).scenes()
print("ready", flush=True)
for epoch in range(int(epochs)):
    print(*sorted(scene.key for scene in data.at(epoch)), flush=True)
"""


def reading(
    server: Server, folder: Path, limit: int = 1 << 30, epochs: int = 1, seed: int = 0
) -> subprocess.Popen[str]:
    """Another process that reads the data set."""
    command = [sys.executable, "-c", READ, server.url, *map(str, (folder, limit, epochs, seed))]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def lines(process: subprocess.Popen[str]) -> list[str]:
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    return out.splitlines()[1:]


def test_several_processes_download_each_shard_once(
    server: Server, folder: Path, small_recipes: Path
) -> None:
    processes = [reading(server, folder, epochs=2, seed=number) for number in range(4)]
    keys = " ".join(scene.key for scene in mfsynth.open(small_recipes).scenes())
    assert [lines(process) for process in processes] == [[keys] * 2] * 4
    assert sorted(downloads(server)) == NAMES
    assert kept(folder) == {copy_of(folder, small_recipes, number).name for number in range(3)}


def test_several_processes_share_little_room(server: Server, folder: Path, small_recipes: Path) -> None:
    """Each holds one shard, and there is room for two."""
    limit = 2 * max(size_of(small_recipes, number) for number in range(3))
    processes = [reading(server, folder, limit, epochs=6, seed=number) for number in range(2)]
    most = 0
    while any(process.poll() is None for process in processes):
        most = max(most, sum(path.stat().st_size for path in folder.glob("*") if path.exists()))
        time.sleep(0.005)
    keys = " ".join(scene.key for scene in mfsynth.open(small_recipes).scenes())
    assert [lines(process) for process in processes] == [[keys] * 6] * 2
    assert most <= limit


def test_a_download_that_is_killed_is_taken_over(server: Server, folder: Path, small_recipes: Path) -> None:
    for name in NAMES:
        server.files[f"/{name}"].stall_at = 20_000
    first = reading(server, folder)
    assert server.stalled.wait(60)
    second = reading(server, folder)  # in the same order, so that it waits for the same shard
    assert second.stdout is not None
    assert second.stdout.readline() == "ready\n"
    time.sleep(0.5)
    assert len(downloads(server)) == 1
    first.send_signal(signal.SIGKILL)
    first.communicate(timeout=60)
    for name in NAMES:
        server.files[f"/{name}"].stall_at = None
    keys = " ".join(scene.key for scene in mfsynth.open(small_recipes).scenes())
    out, err = second.communicate(timeout=60)
    assert (second.returncode, out.split()) == (0, keys.split()), err
    started = downloads(server)[0]
    assert sorted(downloads(server)) == sorted([*NAMES, started])
    assert kept(folder) == {copy_of(folder, small_recipes, number).name for number in range(3)}


def test_what_a_killed_download_left_makes_room(
    server: Server, folder: Path, opened: Open, small_recipes: Path
) -> None:
    for name in NAMES:
        server.files[f"/{name}"].stall_at = 20_000
    process = reading(server, folder)
    assert server.stalled.wait(60)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    [part] = kept(folder)
    assert part.endswith(".part")
    for name in NAMES:
        server.files[f"/{name}"].stall_at = None
    other = next(
        number for number in range(3) if copy_of(folder, small_recipes, number).stem != Path(part).stem
    )
    opened(cache_size=max(size_of(small_recipes, number) for number in range(3))).scenes()[6 * other]
    assert kept(folder) == {copy_of(folder, small_recipes, other).name}


def test_a_reader_that_is_killed_keeps_nothing(
    server: Server, folder: Path, opened: Open, small_recipes: Path
) -> None:
    code = "\n".join(
        (
            "import sys, mfsynth, time",
            "with mfsynth.open(sys.argv[1], cache=sys.argv[2]).open_shard(0):",
            "    print('held', flush=True)",
            "    time.sleep(60)",
        )
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, server.url, folder], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    cache = Cache(folder, size_of(small_recipes, 0))
    with cache._alone():
        assert not cache._make_room(1)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    with cache._alone():
        assert cache._make_room(1)
    assert kept(folder) == set()


def test_workers_of_a_loader_share_the_folder(opened: Open, server: Server) -> None:
    from torch.utils.data import DataLoader

    stream = opened(shuffle=0, window=(0, 0, 16, 16)).torch(batch=3)
    loader = DataLoader(stream, batch_size=None, num_workers=2)
    for epoch in range(2):
        stream.set_epoch(epoch)
        assert len({key for batch in loader for key in batch["key"]}) == 18
    assert sorted(downloads(server)) == NAMES


def test_neither_names_nor_lines_have_a_key(
    server: Server, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.files = {f"{path}?token=SECRET": file for path, file in server.files.items()}
    url = server.url.replace("//", "//ann:SECRET@") + "?token=SECRET"
    wrong = server.files[f"/{NAMES[2]}?token=SECRET"]
    wrong.data = flipped(wrong.data)
    data = mfsynth.open(url, cache=folder).scenes()
    with pytest.raises(ShardError, match=NAMES[2]) as caught:
        list(data)
    server.files.pop(f"/{NAMES[2]}?token=SECRET")
    with pytest.raises(ShardError, match=f"{NAMES[2]} is not there") as gone:
        list(data)
    assert len(kept(folder)) == 2
    shown = [repr(caught.value), repr(gone.value), repr(data), caplog.text, *kept(folder)]
    assert "SECRET" not in " ".join(shown)
