"""How the hub says no: a status, and the headers from which the client picks its error class."""

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
    """What the JSON body has besides the message."""

    def response(self) -> Response:
        headers = dict(self.headers)
        headers["X-Error-Message"] = self.message.encode("ascii", "replace").decode()
        if self.code is not None:
            headers["X-Error-Code"] = self.code
        return JSONResponse({"error": self.message, **self.extra}, self.status, headers)


async def refuse(_: Request, refusal: Exception) -> Response:
    """Starlette's handler."""
    assert isinstance(refusal, RefusedError)
    return refusal.response()


def bad_token() -> RefusedError:
    return RefusedError(401, "Invalid credentials in Authorization header")


def no_token() -> RefusedError:
    return RefusedError(401, "Invalid username or password.")


def no_right(what: str) -> RefusedError:
    return RefusedError(403, f"You don't have the rights to {what}")


def repo_not_found(*, anonymous: bool) -> RefusedError:
    """Missing and private are not told apart, or names of private repositories could be guessed."""
    return RefusedError(401 if anonymous else 404, "Repository not found", "RepoNotFound")


def revision_not_found(revision: str) -> RefusedError:
    return RefusedError(404, f"Invalid rev id: {revision}", "RevisionNotFound")


def entry_not_found(path: str, commit: str) -> RefusedError:
    headers = {"X-Repo-Commit": commit}
    return RefusedError(404, f"A file with this name doesn't exist: {path}", "EntryNotFound", headers)
