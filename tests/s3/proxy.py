"""A web proxy on the loopback in front of a server, which can misbehave as networks and busy stores do."""

from __future__ import annotations

import contextlib
import http.client
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

Fault = Literal["", "drop", "lose", "busy", "refuse", "cut"]
"""What becomes of a request: it is dropped before the server sees it, or its answer is lost; the answer is
503 or 403; or half of a body arrives, that of the request if it has any, else that of the answer."""


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    fault: Fault

    @property
    def lists(self) -> bool:
        """Whether it asks what is in the bucket, and not only whether there is something."""
        return "list-type=2" in self.path and "max-keys" not in self.path

    def puts(self, name: str) -> bool:
        return self.method == "PUT" and self.path.partition("?")[0].endswith(name)


class Proxy:
    """The log of requests, and `fault`, which decides what becomes of the next one."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.log: list[Request] = []
        self.fault: Callable[[str, str], Fault] = lambda _method, _path: ""
        self.url = ""
        self.headers: list[str] = []

    def note(self, method: str, path: str) -> Fault:
        fault = self.fault(method, path)
        self.log.append(Request(method, path, fault))
        return fault


@contextlib.contextmanager
def proxying(port: int) -> Iterator[Proxy]:
    """A running proxy in front of the server at a port."""
    proxy = Proxy(port)
    handler = type("Handler", (_Handler,), {"proxy": proxy})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients may hang up
        proxy.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield proxy
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: Proxy

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""

    def _pass(self) -> None:
        body = self._body()
        fault = self.proxy.note(self.command, self.path)
        if fault == "drop":
            self._hang_up()
        elif fault == "busy":
            self._answer(503, {"Content-Type": "application/xml"}, b"")
        elif fault == "refuse":
            self._answer(403, {"Content-Type": "application/xml"}, b"")
        else:
            cut = fault == "cut"
            status, headers, answer = self._ask(body[: len(body) // 2] if cut else body)
            if fault == "lose":
                self._hang_up()
            else:
                self._answer(status, headers, answer, cut=cut and not body)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _pass  # noqa: N815 - names that http.server calls

    def _body(self) -> bytes:
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.send_response_only(100)
            self.end_headers()
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _ask(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        without = {"content-length", "transfer-encoding", "expect", "connection"}
        headers = {name: value for name, value in self.headers.items() if name.lower() not in without}
        connection = http.client.HTTPConnection("127.0.0.1", self.proxy.port, timeout=60)
        try:
            connection.request(self.command, self.path, body, headers | {"Content-Length": str(len(body))})
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read()
        finally:
            connection.close()

    def _answer(self, status: int, headers: dict[str, str], body: bytes, *, cut: bool = False) -> None:
        self.send_response_only(status)
        length = headers.get("Content-Length", "") if self.command == "HEAD" else str(len(body))
        for name, value in headers.items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", length or "0")
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if cut else body)
        if cut:
            self._hang_up()

    def _hang_up(self) -> None:
        self.wfile.flush()
        self.close_connection = True
