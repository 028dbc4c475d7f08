"""Answers that create, change and delete: repositories, commits, tags, branches, pull requests."""

from __future__ import annotations

import base64
import json
from typing import Any

import yaml
from hub.call import Call, Entry
from hub.reading import front_matter
from hub.refusal import RefusedError, entry_not_found, no_right, revision_not_found
from hub.repos import Commit, File, Kind, Note, Repo
from starlette.responses import JSONResponse, Response

Json = dict[str, Any]


async def create_repo(call: Call) -> Response:
    body = await call.json()
    namespace = body.get("organization") or call.known_user.name
    call.check_owner(namespace)
    repo_id, kind = f"{namespace}/{body['name']}", _kind(body)
    old = call.hub.find(repo_id, kind)
    if old is not None:
        url = {"url": call.hub.url + old.path}
        raise RefusedError(409, "You already created this repo", extra=url)
    repo = call.hub.create_repo(repo_id, kind, private=_private(body) or False)
    return JSONResponse({"url": call.hub.url + repo.path, "id": repo.id})


async def delete_repo(call: Call) -> Response:
    body = await call.json()
    repo_id = f"{body.get('organization') or call.known_user.name}/{body['name']}"
    repo = call.writable(repo_id, _kind(body))
    call.hub.remove_repo(repo)
    return JSONResponse({})


async def move_repo(call: Call) -> Response:
    body = await call.json()
    repo = call.writable(body["fromRepo"], _kind(body))
    call.check_owner(body["toRepo"].partition("/")[0])
    call.hub.rename_repo(repo, body["toRepo"])
    return JSONResponse({})


async def change_settings(call: Call) -> Response:
    repo = call.writable()
    private = _private(await call.json())
    if private is not None:
        repo.private = private
    return JSONResponse({"private": repo.private})


def _kind(body: Json) -> Kind:
    return "datasets" if body.get("type") == "dataset" else "models"


def _private(body: Json) -> bool | None:
    """Whether it is to be private; older clients send `private`."""
    return body["visibility"] == "private" if "visibility" in body else body.get("private")


async def validate_yaml(call: Call) -> Response:
    """Open to anyone: cards are checked without a token."""
    try:
        card = front_matter((await call.json())["content"])
    except yaml.YAMLError as error:
        return JSONResponse({"errors": [{"message": f"Invalid YAML: {error}"}], "warnings": []}, 400)
    warnings = [] if card else [{"message": "empty or missing yaml metadata in repo card"}]
    return JSONResponse({"errors": [], "warnings": warnings})


async def preupload(call: Call) -> Response:
    repo, ref = _target(call)
    files = repo.resolve(ref).files
    asked = (await call.json())["files"]
    return JSONResponse({"files": [_mode(call, repo, files.get(entry["path"]), entry) for entry in asked]})


def _mode(call: Call, repo: Repo, old: File | None, entry: Json) -> Json:
    lfs = repo.wants_lfs(entry["path"], entry["size"], call.hub.lfs_threshold)
    answer = {"path": entry["path"], "uploadMode": "lfs" if lfs else "regular", "shouldIgnore": False}
    if old is not None:
        # The client compares this; if nothing has changed, it sends no commit.
        answer["oid"] = old.sha256 if lfs else old.blob_id
    return answer


def _target(call: Call) -> tuple[Repo, str]:
    """The repository and the ref that the caller may commit to, or propose a change to."""
    if call.query("create_pr") == "1":
        repo = call.contributed()
        return repo, repo.writable_ref(call.parameter("rev"))
    repo = call.readable()
    ref = _own_pull_request(call, repo)
    if ref is None:
        repo = call.writable()
        ref = repo.writable_ref(call.parameter("rev"))
    return repo, ref


def _own_pull_request(call: Call, repo: Repo) -> str | None:
    ref = call.parameter("rev")
    number = ref.removeprefix("refs/pr/")
    discussion = repo.discussions.get(int(number)) if number != ref and number.isdecimal() else None
    return ref if discussion is not None and discussion.author == call.known_user.name else None


async def commit(call: Call) -> Response:
    repo, ref = _target(call)
    lines = [json.loads(line) for line in (await call.request.body()).splitlines() if line.strip()]
    header, operations = lines[0]["value"], lines[1:]
    proposed = call.query("create_pr") == "1"
    base = _base(repo, ref, header.get("parentCommit"), proposed=proposed)
    files = _changed(repo, base, operations)  # completely, before the repository is changed
    note = Note(header["summary"], header.get("description", ""), call.known_user.name)
    extra = {}
    if proposed:
        number = repo.open(note.title, note.author, ref, base.id).number
        extra["pullRequestUrl"] = f"{call.hub.url}{repo.path}/discussions/{number}"
        ref = f"refs/pr/{number}"
    made = repo.commit(ref, files, note)
    url = f"{call.hub.url}{repo.path}/commit/{made.id}"
    return JSONResponse({"success": True, "commitOid": made.id, "commitUrl": url, **extra})


def _base(repo: Repo, ref: str, parent: str | None, *, proposed: bool) -> Commit:
    """The parent commit. A pull request may start anywhere, a commit to a branch only at its head."""
    head = repo.resolve(ref)
    if parent is None or head.id.startswith(parent):
        return head
    if proposed:
        return repo.resolve(parent)
    raise RefusedError(412, "A commit has happened since. Please refresh and try again.")


def _changed(repo: Repo, base: Commit, operations: list[Json]) -> dict[str, File]:
    files = dict(base.files)
    for operation in operations:
        _apply(repo, base, files, operation["key"], operation["value"])
    return files


def _apply(repo: Repo, base: Commit, files: dict[str, File], key: str, value: Json) -> None:
    path = value["path"]
    match key:
        case "file":
            files[path] = File(base64.b64decode(value["content"], validate=True))
        case "lfsFile":
            files[path] = _stored(repo, value)
        case "deletedFile" | "deletedFolder":
            gone = [other for other in files if other == path or other.startswith(f"{path.rstrip('/')}/")]
            if not gone or (key == "deletedFile" and gone != [path]):
                raise entry_not_found(path, base.id)
            for other in gone:
                del files[other]
        case _:
            raise RefusedError(400, f"Unknown operation {key}")


def _stored(repo: Repo, value: Json) -> File:
    data = repo.objects.get(value["oid"])
    if data is None or value.get("size", len(data)) != len(data):
        raise RefusedError(400, f"LFS pointer to a file that was not uploaded: {value['path']}")
    return File(data, lfs=True)


async def create_tag(call: Call) -> Response:
    """The path gives the target, the body the name."""
    repo = call.writable()
    repo.add_ref(f"refs/tags/{(await call.json())['tag']}", call.commit(repo).id)
    return JSONResponse({})


async def delete_tag(call: Call) -> Response:
    call.writable().remove_ref(f"refs/tags/{call.parameter('rev')}")
    return JSONResponse({})


async def create_branch(call: Call) -> Response:
    repo = call.writable()
    start = repo.resolve((await call.json()).get("startingPoint", "main"))
    repo.add_ref(f"refs/heads/{call.parameter('rev')}", start.id)
    return JSONResponse({})


async def delete_branch(call: Call) -> Response:
    repo, branch = call.writable(), call.parameter("rev")
    if branch == "main":
        raise no_right("delete the main branch")
    repo.remove_ref(f"refs/heads/{branch}")
    return JSONResponse({})


async def create_discussion(call: Call) -> Response:
    repo, body = call.contributed(), await call.json()
    base = "refs/heads/main" if body.get("pullRequest") else None
    discussion = repo.open(body["title"], call.known_user.name, base, repo.head)
    return JSONResponse({"num": discussion.number})


async def discussion_details(call: Call) -> Response:
    repo, number = call.readable(), call.parameter("number")
    discussion = repo.discussions.get(int(number)) if number.isdecimal() else None
    if discussion is None:
        raise revision_not_found(number)
    is_pull_request = discussion.base is not None
    return JSONResponse(
        {
            "num": discussion.number,
            "title": discussion.title,
            "status": "draft" if is_pull_request else "open",
            "createdAt": discussion.date,
            "author": {"name": discussion.author},
            "isPullRequest": is_pull_request,
            "repo": {"name": repo.id, "type": repo.kind.removesuffix("s")},
            "events": [],
            "filesWithConflicts": [],
            "changes": {"base": discussion.base},
        }
    )


ENTRIES: tuple[Entry, ...] = (
    ("POST", "/api/repos/create", create_repo),
    ("DELETE", "/api/repos/delete", delete_repo),
    ("POST", "/api/repos/move", move_repo),
    ("POST", "/api/validate-yaml", validate_yaml),
)
REPO_ENTRIES: tuple[Entry, ...] = (
    ("PUT", "/settings", change_settings),
    ("POST", "/preupload/{rev}", preupload),
    ("POST", "/commit/{rev}", commit),
    ("POST", "/tag/{rev}", create_tag),
    ("DELETE", "/tag/{rev}", delete_tag),
    ("POST", "/branch/{rev}", create_branch),
    ("DELETE", "/branch/{rev}", delete_branch),
    ("POST", "/discussions", create_discussion),
    ("GET", "/discussions/{number}", discussion_details),
)
