"""File transfer: resolve URLs, LFS uploads, and the second origin ("CDN") with the large files."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from math import ceil
from typing import Any
from urllib.parse import quote

from hub.call import Call, Entry
from hub.refusal import RefusedError, entry_not_found, no_right
from hub.repos import File, Repo
from starlette.responses import JSONResponse, Response

Json = dict[str, Any]
LFS_JSON = "application/vnd.git-lfs+json"


@dataclass
class Upload:
    """An LFS file that anyone with the key may send."""

    repo: Repo
    oid: str
    size: int
    parts: dict[int, bytes] = field(default_factory=dict)


async def resolve(call: Call) -> Response:
    repo = call.readable()
    commit = call.commit(repo)
    path = call.parameter("path")
    file = call.visible(commit).get(path)
    if file is None:
        raise entry_not_found(path, commit.id)
    if file.lfs:
        return _elsewhere(call, repo, commit.id, path, file)
    return serve(call, file, {"X-Repo-Commit": commit.id, "ETag": f'"{file.oid}"'})


def _elsewhere(call: Call, repo: Repo, commit: str, path: str, file: File) -> Response:
    key = call.hub.allow_download(file)
    headers = {
        "Location": f"{_cdn(call, repo)}/{quote(path)}?key={key}",
        "X-Repo-Commit": commit,
        "X-Linked-Etag": f'"{file.sha256}"',
        "X-Linked-Size": str(file.size),
    }
    return Response(status_code=302, headers=headers)


def _cdn(call: Call, repo: Repo) -> str:
    return f"{call.hub.cdn_url}/cdn/{repo.kind}/{repo.id}"


def serve(call: Call, file: File, headers: dict[str, str]) -> Response:
    """The file or the requested part; HEAD gives the true size even if GET is spoiled."""
    headers = {**headers, "Accept-Ranges": "bytes", "Content-Type": "application/octet-stream"}
    if call.request.method == "HEAD":
        return Response(headers={**headers, "Content-Length": str(file.size)})
    data = call.hub.faults.spoiled(call.line, file.data)
    asked = None if call.hub.faults.ignore_range else call.request.headers.get("range")
    span = _span(asked, len(data))
    if span is None:
        return Response(data, headers=headers)
    if not span:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{len(data)}"})
    headers["Content-Range"] = f"bytes {span.start}-{span.stop - 1}/{len(data)}"
    return Response(data[span.start : span.stop], 206, headers)


def _span(header: str | None, size: int) -> range | None:
    """The bytes in a Range header ("bytes=2-5", "bytes=2-", "bytes=-5"); None without one."""
    if header is None:
        return None
    first, _, last = header.removeprefix("bytes=").partition("-")
    if not first:
        return range(max(size - int(last), 0), size)
    return range(int(first), min(int(last) + 1, size) if last else size)


async def batch(call: Call) -> Response:
    """The URLs to send LFS files to. Users who may propose a change may send files for it."""
    repo = call.contributed()
    objects = (await call.json())["objects"]
    answers = [_object(call, repo, asked["oid"], asked["size"]) for asked in objects]
    return JSONResponse({"objects": answers}, media_type=LFS_JSON)


def _object(call: Call, repo: Repo, oid: str, size: int) -> Json:
    answer: Json = {"oid": oid, "size": size}
    if oid not in repo.objects:  # no actions: the hub has it already
        verify = f"{call.hub.url}{repo.path}.git/info/lfs/objects/verify"
        answer["actions"] = {"upload": _upload(call, repo, oid, size), "verify": {"href": verify}}
    return answer


def _upload(call: Call, repo: Repo, oid: str, size: int) -> Json:
    key = call.hub.allow_upload(Upload(repo, oid, size))
    put = f"{_cdn(call, repo)}/{oid}?key={key}"
    part_size = call.hub.part_size
    if size <= part_size:
        return {"href": put}
    parts = {str(number): f"{put}&part={number}" for number in range(1, ceil(size / part_size) + 1)}
    complete = f"{call.hub.url}/api/complete-multipart?key={key}"
    return {"href": complete, "header": {"chunk_size": str(part_size), **parts}}


async def complete(call: Call) -> Response:
    """Join the parts. The key in the URL suffices; no token is sent."""
    upload = _allowed_upload(call)
    body = await call.json()
    expected = [
        {"partNumber": number, "etag": _part_etag(data)} for number, data in sorted(upload.parts.items())
    ]
    if body["oid"] != upload.oid or body["parts"] != expected:
        raise RefusedError(400, "Parts are missing, or not the ones that were sent")
    _store(upload, b"".join(data for _, data in sorted(upload.parts.items())))
    return JSONResponse({})


async def verify(call: Call) -> Response:
    repo, body = call.contributed(), await call.json()
    data = repo.objects.get(body["oid"])
    if data is None or len(data) != body["size"]:
        raise RefusedError(404, "There is no such LFS file")
    return JSONResponse({})


async def download(call: Call) -> Response:
    _refuse_token(call)
    file = call.hub.allowed_download(call.query("key"))
    if file is None:
        raise no_right("read this: the key in the URL is not valid")
    return serve(call, file, {"ETag": f'"{file.sha256}"'})


async def put(call: Call) -> Response:
    """A whole LFS file, or a part of one."""
    _refuse_token(call)
    upload = _allowed_upload(call)
    data, part = await call.request.body(), call.query("part")
    if part is None:
        _store(upload, data)
    else:
        upload.parts[int(part)] = data
    return Response(headers={"ETag": _part_etag(data)})


def _refuse_token(call: Call) -> None:
    if "authorization" in call.request.headers:
        raise RefusedError(400, "Only one auth mechanism allowed: the URL has its own key")


def _allowed_upload(call: Call) -> Upload:
    upload = call.hub.allowed_upload(call.query("key"))
    if upload is None:
        raise no_right("send this: the key in the URL is not valid")
    return upload


def _part_etag(data: bytes) -> str:
    return f'"{hashlib.md5(data).hexdigest()}"'


def _store(upload: Upload, data: bytes) -> None:
    if len(data) != upload.size or hashlib.sha256(data).hexdigest() != upload.oid:
        raise RefusedError(400, "The content is not that of the announced SHA-256")
    upload.repo.objects[upload.oid] = data


def new_key() -> str:
    return secrets.token_urlsafe(16)


ENTRIES: tuple[Entry, ...] = (
    *(
        ("GET", f"{prefix}/{{ns}}/{{name}}/resolve/{{rev}}/{{path:path}}", resolve)
        for prefix in ("", "/datasets")
    ),
    *(
        ("POST", f"{prefix}/{{ns}}/{{name}}.git/info/lfs/objects/batch", batch)
        for prefix in ("", "/datasets")
    ),
    *(
        ("POST", f"{prefix}/{{ns}}/{{name}}.git/info/lfs/objects/verify", verify)
        for prefix in ("", "/datasets")
    ),
    ("POST", "/api/complete-multipart", complete),
)
CDN_ENTRIES: tuple[Entry, ...] = (
    ("GET", "/cdn/{kind}/{ns}/{name}/{path:path}", download),
    ("PUT", "/cdn/{kind}/{ns}/{name}/{oid}", put),
)
