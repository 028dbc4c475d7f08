"""An HTTP service, as an example: POST the pictures of a focus stack, get the fused one. See README.md."""

from __future__ import annotations

import asyncio
import json
import math
import os
import shutil
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

WORKER = Path(__file__).with_name("worker.py")
TYPES = {"png": "image/png", "jpg": "image/jpeg", "tif": "image/tiff", "webp": "image/webp"}
OPTIONS = {"format": tuple(TYPES), "align": ("no", "yes")}
"""What a request may say beside its pictures, in the query or as fields of the form."""
FORM = """<!doctype html><meta charset="utf-8"><title>Fuse a focus stack</title><h1>Fuse a focus stack</h1>
<form method="post" action="fuse" enctype="multipart/form-data">
<p><input type="file" name="pictures" accept="image/*" multiple required>
<p><label><input type="checkbox" name="align" value="yes"> The camera moved: align the pictures</label>
<p><select name="format"><option>png<option>jpg<option>tif<option>webp</select><button>Fuse</button></form>"""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the service takes. The environment sets each, as SERVE_WORKERS=2 does; README.md explains them."""

    workers: int = 1
    waiting: int = 4
    requests: int = 16
    frames: int = 30
    pixels: int = 25_000_000
    picture_bytes: int = 32 << 20
    total_bytes: int = 256 << 20
    transfer_seconds: int = 60
    fuse_seconds: int = 120
    memory_bytes: int = 4 << 30

    @classmethod
    def from_environment(cls) -> Limits:
        """The limits that are set, and defaults for the others."""
        defaults = asdict(cls()).items()
        return cls(**{name: _number(name, each, 0 if name == "waiting" else 1) for name, each in defaults})


def _number(name: str, default: int, least: int, most: float = math.inf) -> int:
    """What the environment sets, or a default; ends the process if it makes no sense."""
    name = f"SERVE_{name.upper()}"
    value = os.environ.get(name, f"{default}")
    if value.isascii() and value.isdigit() and least <= int(value) <= most:
        return int(value)
    bounds = f"from {least} to {most}" if most < math.inf else f"of {least} or more"
    sys.exit(f"{name} is {value!r}; give a whole number {bounds}")


class Refused(Exception):  # noqa: N818 - an answer, not a fault
    """The answer to a request is a reason and a remedy."""

    def __init__(self, status: int, reason: str, remedy: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(reason)
        self.response = JSONResponse({"reason": reason, "remedy": remedy}, status, headers)


# --- Worker processes -------------------------------------------------------------------------------


class Pool:
    """Workers, each of which fuses one stack at a time, and the stacks that wait for one."""

    def __init__(self, limits: Limits, model: str) -> None:
        self.stacks = 0
        self.workers: set[Process] = set()
        self._limits, self._settings = limits, {**asdict(limits), "model": model}
        self._idle: asyncio.Queue[Process] = asyncio.Queue()

    async def fuse(self, job: dict[str, Any]) -> dict[str, Any]:
        """What a worker answers to a job; see worker.py. If this is canceled, the job is killed."""
        if self.stacks >= self._limits.workers + self._limits.waiting:
            raise busy(self._limits, f"{self.stacks} stacks are being fused or wait")
        self.stacks += 1
        try:
            worker = await self._idle.get()
            task = asyncio.create_task(self._answer(worker, job))
            try:
                return await asyncio.shield(task)
            except asyncio.CancelledError:
                _kill_job(worker)
                await task
                raise
        finally:
            self.stacks -= 1

    async def _answer(self, worker: Process, job: dict[str, Any]) -> dict[str, Any]:
        """A worker's answer, after which it is idle; one that died is replaced."""
        line = await _ask(worker, job)
        if not line:
            self.workers.discard(worker)
            await self._start()
            raise Refused(500, "the service's worker died", "try again")
        self._idle.put_nowait(worker)
        return dict(json.loads(line))

    async def _start(self) -> None:
        """Start a worker; it is idle once it has loaded the network."""
        worker = await asyncio.create_subprocess_exec(
            sys.executable, str(WORKER), stdin=PIPE, stdout=PIPE, start_new_session=True
        )
        if not await _ask(worker, self._settings):
            raise RuntimeError("a worker did not start; its own words are above")
        self.workers.add(worker)
        self._idle.put_nowait(worker)

    @asynccontextmanager
    async def running(self, _: Starlette) -> AsyncIterator[None]:
        """All workers, from when the last has loaded the network."""
        await asyncio.gather(*(self._start() for _ in range(self._limits.workers)))
        yield
        for worker in self.workers:
            _kill_job(worker)  # the worker ends itself, with its standard input


def _kill_job(worker: Process) -> None:
    with suppress(ProcessLookupError):  # it died by itself
        worker.terminate()


async def _ask(worker: Process, message: dict[str, Any]) -> bytes:
    """A worker's answer; empty if it ends instead."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(json.dumps(message).encode() + b"\n")
    return await worker.stdout.readline()


def busy(limits: Limits, why: str) -> Refused:
    """The answer beyond what may be done at once."""
    headers = {"Retry-After": str(limits.fuse_seconds)}
    return Refused(503, f"the service is busy: {why}", "try again later", headers)


# --- Requests ---------------------------------------------------------------------------------------


class Fuse:
    """POST /fuse: its place among the open requests and its folder last until the answer is sent."""

    def __init__(self, limits: Limits, pool: Pool) -> None:
        self._limits, self._pool, self._open = limits, pool, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, unless its client goes or fetches the picture too slowly."""
        if self._open >= self._limits.requests:
            raise busy(self._limits, f"{self._open} requests are open")
        self._open += 1
        try:
            with TemporaryDirectory(prefix="serve-") as folder, suppress(ClientDisconnect, TimeoutError):
                response = await self._response(scope, receive, Path(folder))
                async with asyncio.timeout(self._limits.transfer_seconds):
                    await response(scope, receive, send)
        finally:
            self._open -= 1

    async def _response(self, scope: Scope, receive: Receive, folder: Path) -> Response:
        seconds = self._limits.transfer_seconds
        try:
            async with asyncio.timeout(seconds):
                job = await self._received(Request(scope, self._counted(receive)), folder)
        except TimeoutError:
            reason = f"the pictures took more than {seconds} seconds to arrive"
            raise Refused(408, reason, "send fewer or smaller ones", {"Connection": "close"}) from None
        answer = await _unless_gone(self._pool.fuse(job), receive)
        if "notes" not in answer:
            raise Refused(**answer)
        kind = TYPES[job["output"].partition(".")[2]]
        return FileResponse(folder / job["output"], 200, {"Fuse-Notes": json.dumps(answer["notes"])}, kind)

    def _counted(self, receive: Receive) -> Receive:
        """Receives until there are too many bytes."""
        left = self._limits.total_bytes

        async def counted() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                most = f"send at most {self._limits.total_bytes:,}"
                raise Refused(413, "the pictures have too many bytes together", most)
            return message

        return counted

    async def _received(self, request: Request, folder: Path) -> dict[str, Any]:
        """The job that a request asks for; its pictures are in the folder by then."""
        remedy = f"send up to {self._limits.frames} pictures as multipart/form-data, as curl -F does"
        try:
            form = request.form(max_files=self._limits.frames, max_fields=len(OPTIONS), max_part_size=100)
            async with form as sent:
                items = sent.multi_items()
                files = [item for _, item in items if isinstance(item, UploadFile) and item.filename]
                pictures = await asyncio.to_thread(_saved, files, folder)
        except HTTPException as error:
            raise Refused(400, error.detail, remedy) from error
        except OSError as error:
            raise Refused(503, f"the pictures cannot be kept: {error.strerror}", "try again later") from error
        if not pictures:
            raise Refused(400, "there is no picture in the request", remedy)
        given = {**request.query_params, **{name: item for name, item in items if isinstance(item, str)}}
        for name, value in given.items():
            if value not in OPTIONS.get(name, ()):
                known = "; ".join(f"{name} can be {', '.join(values)}" for name, values in OPTIONS.items())
                raise Refused(400, f"{name[:40]} is {value[:40]!r}", known)
        suffix = given.get("format") or _accepted(request.headers.get("accept", "*/*"))
        align = given.get("align") == "yes"
        return {"folder": str(folder), "pictures": pictures, "output": f"fused.{suffix}", "align": align}


def _saved(files: list[UploadFile], folder: Path) -> list[str]:
    """The files' names in the folder, which errors tell; without suffixes, since those of clients may lie."""
    names = [f"picture {number}" for number in range(1, len(files) + 1)]
    for name, file in zip(names, files, strict=True):
        with (folder / name).open("wb") as out:
            shutil.copyfileobj(file.file, out)
    return names


def _accepted(accept: str) -> str:
    """The suffix of the first type in an Accept header that can be written."""
    suffixes = {kind: suffix for suffix, kind in TYPES.items()} | {"*/*": "png", "image/*": "png"}
    for kind in accept.lower().split(","):
        if found := suffixes.get(kind.partition(";")[0].strip()):
            return found
    raise Refused(406, "no type in Accept can be written", f"accept one of {', '.join(TYPES.values())}")


async def _unless_gone(work: Coroutine[Any, Any, dict[str, Any]], receive: Receive) -> dict[str, Any]:
    """What the work gives; it is canceled if the client goes, which is all that can be received by then."""
    task, gone = asyncio.ensure_future(work), asyncio.ensure_future(receive())
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        task.cancel()
        gone.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)  # until then, the folder is in use


# --- The service ------------------------------------------------------------------------------------


async def refused(_: Request, error: Exception) -> Response:
    """Every error as JSON."""
    if isinstance(error, HTTPException):
        error = Refused(error.status_code, error.detail, "POST pictures to /fuse; GET / shows a form")
    elif not isinstance(error, Refused):
        error = Refused(500, "the service failed", "try again; the service's log says more")
    return error.response


def application(limits: Limits, model: str) -> Starlette:
    """The service; its workers start and end with it."""
    pool = Pool(limits, model)

    async def health(_: Request) -> Response:
        workers = len(pool.workers)
        state = {"model": model, "workers": workers, "stacks": pool.stacks, "limits": asdict(limits)}
        return JSONResponse(state, 200 if workers else 503)

    routes = [
        Route("/", HTMLResponse(FORM), methods=["GET"]),
        Route("/health", health),
        Route("/fuse", Fuse(limits, pool), methods=["POST"]),
    ]
    handlers = dict.fromkeys((Refused, HTTPException, Exception), refused)
    return Starlette(routes=routes, exception_handlers=handlers, lifespan=pool.running)


if __name__ == "__main__":
    limits = Limits.from_environment()
    uvicorn.run(
        application(limits, os.environ.get("SERVE_MODEL", "focus-set")),
        host=os.environ.get("SERVE_HOST", "127.0.0.1"),
        port=_number("port", 8000, 0, 65_535),
        limit_concurrency=16 * limits.requests,  # connections, whatever they do; then uvicorn itself says 503
        timeout_graceful_shutdown=limits.fuse_seconds,
        server_header=False,
    )
