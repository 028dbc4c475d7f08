"""Answers about users, repositories, their trees and their history."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlencode

import yaml
from hub.call import Call, Entry
from hub.refusal import entry_not_found
from hub.repos import Commit, File, Repo
from starlette.responses import JSONResponse, Response

Json = dict[str, Any]


async def whoami(call: Call) -> Response:
    user = call.known_user
    token = {"displayName": "tests", "role": "write" if user.can_write else "read"}
    orgs = [{"type": "org", "name": org, "fullname": org} for org in user.orgs]
    auth = {"type": "access_token", "accessToken": token}
    return JSONResponse(
        {"type": "user", "name": user.name, "fullname": user.name, "orgs": orgs, "auth": auth}
    )


async def repo_list(call: Call) -> Response:
    author = call.query("author")
    user = call.user
    found = [
        repo
        for repo in call.hub.repos_of(call.kind)
        if author in (None, repo.namespace)
        and (not repo.private or (user is not None and user.member_of(repo.namespace)))
    ]
    return JSONResponse([{"id": repo.id, "private": repo.private, "sha": repo.head} for repo in found])


async def repo_info(call: Call) -> Response:
    repo = call.readable()
    revision = call.parameter("rev") if "rev" in call.request.path_params else "main"
    return JSONResponse(_info(call, repo, repo.resolve(revision)))


def _info(call: Call, repo: Repo, commit: Commit) -> Json:
    files = call.visible(commit)
    card = front_matter(files["README.md"].data.decode()) if "README.md" in files else None
    blobs = call.query("blobs") == "true"
    dates = [entry.date for entry in repo.history(commit)]
    return {
        "id": repo.id,
        "author": repo.namespace,
        "sha": commit.id,
        "private": repo.private,
        "gated": False,
        "disabled": False,
        "createdAt": dates[-1],
        "lastModified": dates[0],
        "tags": (card or {}).get("tags", []),
        "cardData": card,
        "siblings": [_sibling(path, file, blobs=blobs) for path, file in files.items()],
    }


def front_matter(card: str) -> Json | None:
    """A card's metadata; None if it has none. Raises YAMLError."""
    lines = card.splitlines()
    if not lines or lines[0] != "---" or "---" not in lines[1:]:
        return None
    data = yaml.safe_load("\n".join(lines[1 : lines.index("---", 1)]))
    return data if isinstance(data, dict) else None


def _sibling(path: str, file: File, *, blobs: bool) -> Json:
    sibling: Json = {"rfilename": path}
    if blobs:
        sibling |= {"size": file.size, "blobId": file.oid}
        if file.lfs:
            # Trees spell this differently.
            sibling["lfs"] = {"sha256": file.sha256, "size": file.size, "pointerSize": len(file.pointer)}
    return sibling


async def tree(call: Call) -> Response:
    commit = call.commit(call.readable())
    folder = call.parameter("folder").strip("/") if "folder" in call.request.path_params else ""
    entries = _entries(call.visible(commit), folder, recursive=call.query("recursive") == "true")
    if folder and not entries:
        raise entry_not_found(folder, commit.id)
    return _page(call, entries)


def _entries(files: Mapping[str, File], folder: str, *, recursive: bool) -> list[Json]:
    """The files and folders of a folder, each folder before its content."""
    found: dict[str, Json] = {}
    for path, file in files.items():
        if folder and not path.startswith(f"{folder}/"):
            continue
        for parent in _folders(path, below=folder):
            if parent not in found:
                found[parent] = _folder_entry(files, parent)
        found[path] = _file_entry(path, file)
    return [
        entry
        for path, entry in found.items()
        if recursive or str(PurePosixPath(path).parent) == (folder or ".")
    ]


def _folders(path: str, below: str) -> list[str]:
    """The folders that a file is in, the outermost first."""
    depth = len(PurePosixPath(below).parts)
    return [str(parent) for parent in reversed(PurePosixPath(path).parents) if len(parent.parts) > depth]


def _file_entry(path: str, file: File) -> Json:
    entry: Json = {"type": "file", "path": path, "size": file.size, "oid": file.oid}
    if file.lfs:
        entry["lfs"] = {"oid": file.sha256, "size": file.size, "pointerSize": len(file.pointer)}
    return entry


def _folder_entry(files: Mapping[str, File], folder: str) -> Json:
    inside = [(path, file.oid) for path, file in files.items() if path.startswith(f"{folder}/")]
    return {
        "type": "directory",
        "path": folder,
        "size": 0,
        "oid": hashlib.sha1(repr(inside).encode()).hexdigest(),
    }


def _page(call: Call, entries: list[Json]) -> Response:
    start = int(call.query("cursor") or 0)
    end = start + call.hub.tree_page
    headers = {}
    if end < len(entries):
        query = urlencode({**call.request.query_params, "cursor": end})
        headers["Link"] = f'<{call.hub.url}{call.path}?{query}>; rel="next"'
    return JSONResponse(entries[start:end], headers=headers)


async def paths_info(call: Call) -> Response:
    files = call.visible(call.commit(call.readable()))
    paths = (await call.form()).get("paths", [])
    return JSONResponse([entry for path in paths if (entry := _entry(files, path)) is not None])


def _entry(files: Mapping[str, File], path: str) -> Json | None:
    if path in files:
        return _file_entry(path, files[path])
    is_folder = any(other.startswith(f"{path}/") for other in files)
    return _folder_entry(files, path) if is_folder else None


async def refs(call: Call) -> Response:
    repo = call.readable()
    kinds = {"branches": "refs/heads/", "tags": "refs/tags/", "converts": "refs/convert/"}
    if call.query("include_prs") == "1":
        kinds["pullRequests"] = "refs/pr/"
    return JSONResponse({kind: _refs(repo, prefix) for kind, prefix in kinds.items()})


def _refs(repo: Repo, prefix: str) -> list[Json]:
    found = repo.named(prefix)
    return [{"name": name, "ref": prefix + name, "targetCommit": commit} for name, commit in found.items()]


async def commits(call: Call) -> Response:
    repo = call.readable()
    return JSONResponse([_commit_entry(commit) for commit in repo.history(call.commit(repo))])


def _commit_entry(commit: Commit) -> Json:
    return {
        "id": commit.id,
        "title": commit.title,
        "message": commit.message,
        "date": commit.date,
        "authors": [{"user": commit.author}],
    }


async def may_read(call: Call) -> Response:
    call.readable()
    return JSONResponse({})


async def may_write(call: Call) -> Response:
    call.writable()
    return JSONResponse({})


ENTRIES: tuple[Entry, ...] = (
    ("GET", "/api/whoami-v2", whoami),
    ("GET", "/api/models", repo_list),
    ("GET", "/api/datasets", repo_list),
)
REPO_ENTRIES: tuple[Entry, ...] = (
    ("GET", "", repo_info),
    ("GET", "/revision/{rev}", repo_info),
    ("GET", "/tree/{rev}", tree),
    ("GET", "/tree/{rev}/{folder:path}", tree),
    ("POST", "/paths-info/{rev}", paths_info),
    ("GET", "/refs", refs),
    ("GET", "/commits/{rev}", commits),
    ("GET", "/auth-check", may_read),
    ("GET", "/auth-check/write", may_write),
)
