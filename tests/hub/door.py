"""The middleware of both applications: raw paths, faults, the log."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Literal

from hub.faults import Request, request_line
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

if TYPE_CHECKING:
    from hub.server import HubServer


class Door:
    def __init__(self, app: ASGIApp, hub: HubServer, host: Literal["hub", "cdn"]) -> None:
        self._app = app
        self._hub = hub
        self._host = host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Routes must see the path as it was sent: a revision such as refs%2Fpr%2F1 is one segment.
        scope["path"] = scope["raw_path"].decode()
        scope["line"] = line = request_line(scope["method"], scope["path"], scope["query_string"].decode())
        send = self._logging(HttpRequest(scope), send)
        answer = self._hub.faults.planned_answer(line)
        if answer is not None:
            await _drain(receive)
            await answer.response()(scope, receive, send)
            return
        self._hub.faults.act(line)
        after = self._hub.faults.planned_cut(line)
        await self._run(scope, receive, send if after is None else _cutting(send, after))

    async def _run(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except ClientDisconnect:
            pass
        except Exception:
            self._hub.crashes.append(traceback.format_exc())
            raise

    def _logging(self, request: HttpRequest, send: Send) -> Send:
        async def logging(message: Message) -> None:
            if message["type"] == "http.response.start":
                # Before sending; otherwise the log would lag behind what the client has seen.
                self._hub.log.append(self._entry(request, message["status"]))
            await send(message)

        return logging

    def _entry(self, request: HttpRequest, status: int) -> Request:
        header = request.headers.get("authorization")
        user = None if header is None else self._hub.user_of(header)
        return Request(
            method=request.method,
            path=request.scope["path"],
            query=request.scope["query_string"].decode(),
            host=self._host,
            port=request.scope["server"][1],
            token=None if header is None else "?" if user is None else user.name,
            range=request.headers.get("range"),
            status=status,
        )


async def _drain(receive: Receive) -> None:
    """Read the whole request, since clients send all of it before they read the answer."""
    while (await receive()).get("more_body"):
        pass


def _cutting(send: Send, after: int) -> Send:
    """Send the first `after` bytes of the body and never its end, so that uvicorn closes the connection."""
    left = after

    async def cutting(message: Message) -> None:
        nonlocal left
        if message["type"] == "http.response.body":
            body = message.get("body", b"")[:left]
            left -= len(body)
            message = {**message, "body": body, "more_body": True}
        await send(message)

    return cutting
