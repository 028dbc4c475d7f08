"""The hub's error answers: a status, and the headers by which the client chooses an error class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import JSONResponse, Response


@dataclass(eq=False)
class RefusedError(Exception):
    status: int
    message: str
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, object] = field(default_factory=dict)
    """Further entries of the JSON body, beside the message."""

    def response(self) -> Response:
        headers = dict(self.headers)
        headers["X-Error-Message"] = self.message.encode("ascii", "replace").decode()
        if self.code is not None:
            headers["X-Error-Code"] = self.code
        return JSONResponse({"error": self.message, **self.extra}, self.status, headers)


async def refuse(_: Request, refusal: Exception) -> Response:
    """The exception handler for Starlette."""
    assert isinstance(refusal, RefusedError)
    return refusal.response()


def bad_token() -> RefusedError:
    return RefusedError(401, "Invalid credentials in Authorization header")


def no_token() -> RefusedError:
    return RefusedError(401, "Invalid username or password.")


def no_right(what: str) -> RefusedError:
    return RefusedError(403, f"You don't have the rights to {what}")


def repo_not_found(*, anonymous: bool) -> RefusedError:
    """The same for missing and private repositories; otherwise names of private ones could be guessed."""
    return RefusedError(401 if anonymous else 404, "Repository not found", "RepoNotFound")


def revision_not_found(revision: str) -> RefusedError:
    return RefusedError(404, f"Invalid rev id: {revision}", "RevisionNotFound")


def entry_not_found(path: str, commit: str) -> RefusedError:
    headers = {"X-Repo-Commit": commit}
    return RefusedError(404, f"A file with this name doesn't exist: {path}", "EntryNotFound", headers)
