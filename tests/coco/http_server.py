"""A web server on the loopback that can misbehave in the ways that downloads have to live with."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PIECE = 4096


@dataclass
class Served:
    """A file of the server, and how it is served."""

    data: bytes
    content_type: str = "application/zip"
    modified: str = "Tue, 11 Jul 2017 03:24:01 GMT"
    etag: str | None = None
    """None: a strong one, made from the data; empty: none is sent."""
    ranges: bool = True
    """Whether Range is understood; if not, the answer is always 200 with everything."""
    heeds_if_range: bool = True
    chunked: bool = False
    """Whether answers to GET omit the length."""
    head: int = 200
    """The status of the answer to HEAD."""
    redirect: str | None = None
    """Answers to HEAD send the client there."""
    statuses: list[int] = field(default_factory=list)
    """The next answers to GET are these, without a body."""
    retry_after: str = "1"
    """What an answer 503 asks for."""
    drops: list[int] = field(default_factory=list)
    """The next answers to GET break off after so many bytes."""
    ends_at: int | None = None
    """The data breaks off at this byte, every time, though the headers promise all of it."""
    stall_at: int | None = None
    """The first answer to GET waits at this byte until the server is told to stop."""
    stalls_again: bool = False
    """Every later answer waits there, too, without sending anything."""

    def tag(self) -> str:
        return f'"{hashlib.md5(self.data).hexdigest()}"' if self.etag is None else self.etag


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    range: str | None
    if_range: str | None
    status: int
    sent: int
    """Bytes of the body, unless the client goes away before."""


class Server:
    """The files, by path, and the log of requests."""

    def __init__(self) -> None:
        self.files: dict[str, Served] = {}
        self.log: list[Request] = []
        self.stop = threading.Event()
        self.stalled = threading.Event()
        self.url = ""

    def gets(self, path: str) -> list[Request]:
        return [request for request in self.log if request.method == "GET" and request.path == path]


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    """A running server."""
    server = Server()
    handler = type("Handler", (_Handler,), {"ours": server})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        http.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients may hang up
        server.url = f"http://127.0.0.1:{http.server_address[1]}"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.stop.set()
            http.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    ours: Server

    def log_message(self, *args: object) -> None:
        """Nothing on stderr."""

    def do_HEAD(self) -> None:
        file = self.ours.files.get(self.path)
        status = 404 if file is None else 302 if file.redirect else file.head
        self._note(status, 0)
        self._start(
            status,
            len(file.data) if file else 0,
            file,
            {"Location": file.redirect} if file and file.redirect else {},
        )

    def do_GET(self) -> None:
        file = self.ours.files.get(self.path)
        if file is None or file.statuses:
            status = file.statuses.pop(0) if file else 404
            self._note(status, 0)
            self._start(status, 0, None, {"Retry-After": file.retry_after} if file and status == 503 else {})
            return
        start = self._wanted_start(file)
        total = len(file.data)
        if start >= total:
            self._note(416, 0)
            self._start(416, 0, None, {"Content-Range": f"bytes */{total}"})
            return
        partial = start > 0
        extra = {"Content-Range": f"bytes {start}-{total - 1}/{total}"} if partial else {}
        status = 206 if partial else 200
        end = self._end(file, start)
        self._note(status, end - start)  # before sending, or the log lags behind what the client has seen
        self._start(status, None if file.chunked else total - start, file, extra)
        self._send(file, start, end)

    def _end(self, file: Served, start: int) -> int:
        end = len(file.data) if file.ends_at is None else min(file.ends_at, len(file.data))
        return min(end, start + file.drops.pop(0)) if file.drops else end

    def _wanted_start(self, file: Served) -> int:
        wanted = self.headers.get("Range")
        if not wanted or not file.ranges:
            return 0
        condition = self.headers.get("If-Range")
        if file.heeds_if_range and condition not in (None, file.tag(), file.modified):
            return 0
        return int(wanted.removeprefix("bytes=").removesuffix("-"))

    def _send(self, file: Served, start: int, end: int) -> None:
        stall = file.stall_at
        file.stall_at = stall if file.stalls_again else None
        at = start
        while at < end:
            if file.stalls_again and stall is not None and at >= stall:
                self.ours.stop.wait(20)
                break
            piece = file.data[at : min(at + PIECE, end)]
            try:
                self.wfile.write(piece)
            except OSError:  # the other side has gone
                break
            at += len(piece)
            if stall is not None and at >= stall:
                self.ours.stalled.set()
                self.ours.stop.wait(20)
                break
        if at < len(file.data) or file.chunked:
            self.close_connection = True

    def _start(self, status: int, length: int | None, file: Served | None, extra: dict[str, str]) -> None:
        self.send_response(status)
        if length is not None:
            self.send_header("Content-Length", str(length))
        if file is not None:
            self.send_header("Content-Type", file.content_type)
            if file.ranges:
                self.send_header("Accept-Ranges", "bytes")
            for name, value in (("ETag", file.tag()), ("Last-Modified", file.modified)):
                if value:
                    self.send_header(name, value)
        for name, value in extra.items():
            self.send_header(name, value)
        self.end_headers()

    def _note(self, status: int, sent: int) -> None:
        headers = self.headers
        request = Request(
            self.command, self.path, headers.get("Range"), headers.get("If-Range"), status, sent
        )
        self.ours.log.append(request)
