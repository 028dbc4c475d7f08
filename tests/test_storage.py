from __future__ import annotations

import http.server
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from mfsynth import storage
from mfsynth.errors import ShardError


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
        ("gopher://x/y", "cannot read gopher://x/y: ValueError: Protocol not known: gopher"),
        ("a\0b", "cannot read .*: ValueError: embedded null byte"),
        (".", "cannot read .: .*Is a directory"),
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
        ("403", "cannot read .*/403: .*403.*Forbidden"),
        ("500", "cannot read .*/500: .*500.*Internal Server Error"),
        ("cut", "cannot read .*/cut: ClientPayloadError: .*not completed"),
    ],
)
def test_answers_of_a_server_are_distinguished(faulty: str, path: str, text: str) -> None:
    with pytest.raises(ShardError, match=text):
        storage.read(f"{faulty}/{path}")
    with pytest.raises(ShardError, match=text), storage.local_copy(f"{faulty}/{path}"):
        pass


def test_an_unreachable_server_is_not_a_missing_file() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        location = f"http://127.0.0.1:{unused.getsockname()[1]}/a"
        with pytest.raises(ShardError, match=r"cannot read .*/a: Cannot connect to host 127\.0\.0\.1"):
            storage.read(location)


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
