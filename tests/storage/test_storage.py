from __future__ import annotations

import http.server
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mfsynth
from mfsynth import storage
from mfsynth.errors import DownloadError, OutputError, ShardError
from tests.coco.http_server import Served, Server, serving

QUICK = storage.Patience(tries=3, pause=0.001, longest=0.01, timeout=5)


def test_local_files_and_urls_are_read_alike(tmp_path: Path) -> None:
    (tmp_path / "a b.bin").write_bytes(b"123")
    with fsspec.open("memory://box/a b.bin", "wb") as file:
        file.write(b"123")
    for folder in (tmp_path, "memory://box"):
        location = storage.join(folder, "a b.bin")
        assert storage.read(location) == b"123"
        with storage.local_copy(location) as path:
            assert path.read_bytes() == b"123"
        with pytest.raises(ShardError, match="none is not there"):
            storage.read(storage.join(folder, "none"))


@pytest.mark.parametrize(
    ("location", "text"),
    [
        ("data://x", "cannot read data://x"),
        ("reference://x", "cannot read reference://x: TypeError: "),
        ("dir://x", "cannot read dir://x"),
        ("gopher://x/y", "cannot open gopher://x/y: nothing is known of gopher:// URLs"),
        ("a\0b", "cannot read .*: ValueError: embedded null byte"),
        (".", "cannot read .: it is a folder"),
    ],
)
def test_the_location_is_named_whatever_its_library_raises(location: str, text: str) -> None:
    with pytest.raises(ShardError, match=text):
        storage.read(location)


class Faulty(http.server.BaseHTTPRequestHandler):
    """Answers with the status in the path; `/cut` announces more than it sends."""

    def do_HEAD(self) -> None:
        self.answer(b"")

    def do_GET(self) -> None:
        self.answer(b"some")

    def answer(self, body: bytes) -> None:
        cut = self.path == "/cut"
        self.send_response(200 if cut else int(self.path[1:]))
        self.send_header("Content-Length", "4000" if cut else str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def faulty() -> Iterator[str]:
    """A local web server that fails."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Faulty) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("404", "404 is not there$"),
        ("410", "410 is not there$"),
        ("403", r"cannot read .*/403: the server answers 403 \(forbidden\)"),
        ("500", r"cannot read .*/500: the server answers 500 \(3 tries in a row\)"),
        ("cut", r"cannot read .*/cut: peer closed .* \(3 tries in a row\)"),
    ],
)
def test_answers_of_a_server_are_distinguished(faulty: str, path: str, text: str) -> None:
    with pytest.raises(ShardError, match=text):
        storage.read(f"{faulty}/{path}", patience=QUICK)
    with pytest.raises(ShardError, match=text), storage.local_copy(f"{faulty}/{path}", patience=QUICK):
        pass


def test_an_unreachable_server_is_not_a_missing_file() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        location = f"http://127.0.0.1:{unused.getsockname()[1]}/a"
        with pytest.raises(ShardError, match=r"cannot read .*/a: .*refused"):
            storage.read(location, patience=QUICK)


# --- connections that break ---------------------------------------------------------------------------

DATA = bytes(range(256)) * 400


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as running:
        running.files["/a"] = Served(DATA)
        yield running


def read_all(server: Server, patience: storage.Patience = QUICK) -> bytes:
    """The file as a stream, in pieces of a size that no buffer has."""
    with storage.open_file(f"{server.url}/a", patience) as file:
        parts = []
        while part := file.read(7001):
            parts.append(part)
    return b"".join(parts)


def copied(server: Server) -> bytes:
    with storage.local_copy(f"{server.url}/a", patience=QUICK) as path:
        return path.read_bytes()


WAYS = pytest.mark.parametrize(
    "way", [read_all, copied, lambda it: storage.read(f"{it.url}/a", patience=QUICK)]
)


NO_VERSION = {"etag": "", "modified": ""}
FAULTS = [
    {"drops": [0]},
    {"drops": [50_000, 20_000, 1]},
    {"drops": [50_000], "etag": 'W/"weak"'},
    {"drops": [50_000], **NO_VERSION},
    {"drops": [50_000], "ranges": False},
    {"drops": [50_000, 60_000], "ranges": False, **NO_VERSION},
    {"statuses": [503]},
    {"statuses": [500, 429]},
]


@WAYS
@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_reading_goes_on_after_faults(
    server: Server, way: Callable[[Server], bytes], fault: dict[str, Any]
) -> None:
    server.files["/a"] = Served(DATA, **deepcopy(fault))
    assert way(server) == DATA


def test_reading_goes_on_at_the_byte_where_it_broke(server: Server) -> None:
    server.files["/a"].drops = [50_000, 20_000]
    assert read_all(server) == DATA
    tag = server.files["/a"].tag()
    asked = [(each.range, each.if_range) for each in server.gets("/a")]
    assert asked == [(None, None), ("bytes=50000-", tag), ("bytes=70000-", tag)]


def test_a_server_that_stalls_is_asked_again(server: Server) -> None:
    server.files["/a"].stall_at = 40_000
    assert read_all(server, storage.Patience(tries=3, pause=0.001, timeout=0.2)) == DATA
    assert server.stalled.is_set()


def test_a_server_that_only_stalls_is_given_up_before_the_other_tries(server: Server) -> None:
    server.files["/a"].stall_at, server.files["/a"].stalls_again = 40_000, True
    with pytest.raises(ShardError, match=r"cannot read .*/a: the server sends nothing \(3 tries in a row\)"):
        read_all(server, storage.Patience(tries=8, pause=0.001, timeout=0.1))
    assert len(server.gets("/a")) in (3, 4)  # the first brought 40,000 bytes


def test_only_tries_without_progress_count(server: Server) -> None:
    server.files["/a"].drops = [10_000] * 6
    assert read_all(server) == DATA
    server.files["/a"].drops = [10_000, 0, 0, 0]
    with pytest.raises(ShardError, match=r"cannot read .*/a: peer closed"):
        read_all(server)


def test_patience_ends_before_its_tries_if_they_take_long(server: Server) -> None:
    server.files["/a"].statuses = [503, 503, 503]
    with pytest.raises(ShardError, match=r"answers 503 \(1 try\)"):
        read_all(server, storage.Patience(tries=3, pause=0.2, total=0.1))


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_refusal_is_final(server: Server, status: int) -> None:
    server.files["/a"].statuses = [status]
    with pytest.raises(ShardError):
        read_all(server)
    assert len(server.gets("/a")) == 1


@pytest.mark.parametrize("heeds", [True, False])
@pytest.mark.parametrize("versions", [{}, {"etag": ""}, {"etag": "", "modified": "", "ranges": False}])
def test_a_file_that_changes_is_not_spliced(server: Server, heeds: bool, versions: dict[str, Any]) -> None:
    server.files["/a"] = Served(DATA, **versions, drops=[50_000])
    dated = {} if versions.get("modified") == "" else {"modified": "Wed, 12 Jul 2017 03:24:01 GMT"}
    other = Served(DATA[::-1], **(versions | dated), heeds_if_range=heeds)
    with storage.open_file(f"{server.url}/a", QUICK) as file:
        file.read(40_000)
        server.files["/a"] = other
        with pytest.raises(ShardError, match="/a changed while it was read"):
            file.read()


def test_a_pause_may_be_asked_for_as_a_date(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.files["/a"].statuses = [503]
    server.files["/a"].retry_after = "Fri, 31 Dec 2199 23:59:59 GMT"
    read_all(server, storage.Patience(tries=2, pause=0.001, longest=0.05))
    assert any("answers 503; trying again in 0.1 s" in line for line in caplog.messages)


@given(steps=st.lists(st.tuples(st.integers(0, len(DATA) + 9), st.integers(0, 60_000)), max_size=6))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("ranges", [True, False])
def test_a_stream_seeks_as_a_file_does(server: Server, ranges: bool, steps: list[tuple[int, int]]) -> None:
    server.files["/a"] = Served(DATA, ranges=ranges)
    with storage.open_file(f"{server.url}/a", QUICK) as file:
        for start, size in steps:
            assert file.seek(start) == file.tell() == start
            assert file.read(size) == DATA[start : start + size]
        assert file.seek(-3, 2) == len(DATA) - 3
        assert file.read() == DATA[-3:]


class Shaky(MemoryFileSystem):  # type: ignore[misc]
    """A file system in memory whose files fail now and then, each time after some bytes."""

    protocol = "shaky"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    faults: ClassVar[list[Exception]] = []

    @classmethod
    def _strip_protocol(cls, path: str) -> Any:
        return super()._strip_protocol(path.replace("shaky://", "memory://"))

    def _open(self, path: str, mode: str = "rb", **kwargs: Any) -> Any:
        file = super()._open(path, mode, **kwargs)
        whole = file.read

        def read(size: int = -1) -> bytes:
            if self.faults and file.tell() > 0:
                raise self.faults.pop()
            return whole(min(size, 30_000) if size >= 0 else size)  # type: ignore[no-any-return]

        file.read = read
        return file


def test_other_file_systems_are_asked_again_too() -> None:
    fsspec.register_implementation("shaky", Shaky, clobber=True)
    fsspec.filesystem("shaky").pipe("/box/a", DATA)
    Shaky.faults = [ConnectionResetError("gone"), TimeoutError("late")]
    with storage.open_file("shaky://box/a", QUICK) as file:
        assert file.read() == DATA
    assert not Shaky.faults
    Shaky.faults = [PermissionError("no"), PermissionError("no")]
    with storage.open_file("shaky://box/a", QUICK) as file, pytest.raises(ShardError, match="no"):
        file.read()
    assert len(Shaky.faults) == 1


def test_a_place_that_does_not_answer_is_given_up_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether a folder is there is a command's first question: the address may be wrong."""
    fsspec.register_implementation("shaky", Shaky, clobber=True)
    system, pauses = fsspec.filesystem("shaky"), list[float]()

    def away(_path: str) -> None:
        raise ConnectionRefusedError("refused")

    monkeypatch.setattr(system, "info", away)
    monkeypatch.setattr(time, "sleep", pauses.append)
    with pytest.raises(DownloadError, match=r"refused \(3 tries in a row\)"):
        storage.RemotePath("shaky://box/coco").is_dir()
    assert sum(pauses) < 5


def test_no_request_outlives_the_command() -> None:
    """One that a Ctrl-C cut off would be reported by Python, between the lines of the error."""
    code = """
import asyncio, atexit, fsspec.asyn, time

loop = fsspec.asyn.get_loop()
atexit.register(lambda: print(len(asyncio.all_tasks(loop)), "left"))
import mfsynth.storage.sources

asyncio.run_coroutine_threadsafe(asyncio.sleep(60), loop)
time.sleep(0.2)
print(len(asyncio.all_tasks(loop)), "running")
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == ["1 running", "0 left"]
    assert run.stderr == ""


# --- what is too large, or no file --------------------------------------------------------------------


def test_a_document_has_a_limit(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(DATA)
    for location in (str(tmp_path / "a"), f"{server.url}/a"):
        assert storage.read(location, limit=len(DATA), patience=QUICK) == DATA
        with pytest.raises(ShardError, match=f"/a is larger than the limit of {len(DATA) - 1:,} bytes"):
            storage.read(location, limit=len(DATA) - 1, patience=QUICK)
    server.files["/a"] = Served(DATA, chunked=True)  # which does not say its size
    with pytest.raises(ShardError, match="/a is larger than the limit of 1,000 bytes"):
        storage.read(f"{server.url}/a", limit=1000, patience=QUICK)
    with (
        pytest.raises(ShardError, match="/a is larger than the limit of 1,000 bytes"),
        storage.local_copy(f"{server.url}/a", limit=1000, patience=QUICK),
    ):
        pass


def test_a_sparse_file_is_not_read_beyond_its_limit(tmp_path: Path) -> None:
    with (tmp_path / "a").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ShardError, match="larger than the limit of 268,435,456 bytes"):
        storage.read(str(tmp_path / "a"))


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, kind in (
        (tmp_path / "pipe", "a named pipe"),
        (Path("/dev/zero"), "a device"),
        (tmp_path, "a folder"),
    ):
        with pytest.raises(ShardError, match=f"it is {kind}, not a regular file"):
            storage.read(str(path))


@pytest.mark.parametrize("name", ["a" * 300, "a/" * 3000, "a\0b", "\udcff", ""])
def test_strange_paths_are_errors_of_ours(tmp_path: Path, name: str) -> None:
    for location in (f"{tmp_path}/{name}/m.json", f"file://{tmp_path}/{name}/m.json"):
        with pytest.raises(ShardError):
            storage.read(location)
        with pytest.raises(ShardError):
            mfsynth.open(location)
    if "\0" in name or len(name) > 200:
        with pytest.raises(OutputError, match="cannot write"):
            storage.write(tmp_path / name / "a", b"x")


def test_file_urls_are_local_paths(tmp_path: Path) -> None:
    (tmp_path / "a b").write_bytes(b"1")
    location = (tmp_path / "a b").as_uri()
    assert storage.read(location) == storage.read(f"file://{tmp_path}/a b") == b"1"
    with storage.local_copy(location) as path:
        assert path == tmp_path / "a b"
    assert storage.join(tmp_path.as_uri(), "x") == str(tmp_path / "x")


# --- local files --------------------------------------------------------------------------------------


def test_an_error_of_the_reader_is_not_one_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    with pytest.raises(ZeroDivisionError), storage.open_file(str(tmp_path / "a")) as file:
        int(file.read()) // 0
    with pytest.raises(FileNotFoundError, match="other"), storage.open_file(str(tmp_path / "a")):
        (tmp_path / "other").stat()


def test_files_are_written_with_the_users_mode(tmp_path: Path) -> None:
    mask = os.umask(0o027)
    try:
        storage.put(tmp_path / "a", b"x", tmp_path)
    finally:
        os.umask(mask)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_an_unpublished_scratch_file_is_removed(tmp_path: Path) -> None:
    folder = tmp_path
    before: set[Path] = set()
    with pytest.raises(ZeroDivisionError), storage.scratch_file(folder):
        raise ZeroDivisionError
    assert set(folder.iterdir()) == before
