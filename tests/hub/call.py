"""One request as the handlers see it: who sends it, for which repository, and with which rights."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

from hub.refusal import bad_token, no_right, no_token, repo_not_found
from hub.repos import KINDS, Commit, File, Kind, Repo
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

if TYPE_CHECKING:
    from hub.server import HubServer, User


class Call:
    def __init__(self, hub: HubServer, request: Request) -> None:
        self.hub = hub
        self.request = request

    @property
    def kind(self) -> Kind:
        return "datasets" if self.path.startswith(("/datasets/", "/api/datasets")) else "models"

    @property
    def path(self) -> str:
        """The path, percent-encoded as the client sent it."""
        return str(self.request.scope["path"])

    @property
    def repo_id(self) -> str:
        return f"{self.parameter('ns')}/{self.parameter('name')}"

    @property
    def line(self) -> str:
        """The text in which faults look for their pattern."""
        return str(self.request.scope["line"])

    @cached_property
    def user(self) -> User | None:
        """None without a token; an unknown token is refused."""
        header = self.request.headers.get("authorization")
        if header is None:
            return None
        user = self.hub.user_of(header)
        if user is None:
            raise bad_token()
        return user

    @property
    def known_user(self) -> User:
        if self.user is None:
            raise no_token()
        return self.user

    def parameter(self, name: str) -> str:
        """A segment of the path. It is decoded only here, after routing: %2F does not separate segments."""
        return unquote(self.request.path_params[name])

    def query(self, name: str) -> str | None:
        return self.request.query_params.get(name)

    async def json(self) -> dict[str, Any]:
        body = await self.request.json()
        assert isinstance(body, dict)
        return body

    async def form(self) -> dict[str, list[str]]:
        return parse_qs((await self.request.body()).decode())

    def readable(self, repo_id: str | None = None, kind: Kind | None = None) -> Repo:
        """The repository, if the caller may see it."""
        repo = self.hub.find(repo_id or self.repo_id, kind or self.kind)
        user = self.user
        if repo is None or (repo.private and (user is None or not user.member_of(repo.namespace))):
            raise repo_not_found(anonymous=user is None)
        return repo

    def contributed(self) -> Repo:
        """The repository, if the caller may propose changes."""
        repo = self.readable()
        if not self.known_user.can_write:
            raise no_right("write with a token for reading")
        return repo

    def writable(self, repo_id: str | None = None, kind: Kind | None = None) -> Repo:
        """The repository, if the caller owns it."""
        repo = self.readable(repo_id, kind)
        self.check_owner(repo.namespace)
        return repo

    def check_owner(self, namespace: str) -> None:
        if not self.known_user.owns(namespace):
            raise no_right(f"write to {namespace}")

    def commit(self, repo: Repo) -> Commit:
        return repo.resolve(self.parameter("rev"))

    def visible(self, commit: Commit) -> dict[str, File]:
        hidden = self.hub.faults.hidden
        return {path: file for path, file in sorted(commit.files.items()) if not hidden(path)}


Handler = Callable[[Call], Awaitable[Response]]
Entry = tuple[str, str, Handler]
"""A method, a path, and its handler."""


def routes(hub: HubServer, entries: Sequence[Entry]) -> list[Route]:
    return [Route(path, _endpoint(hub, handler), methods=[method]) for method, path, handler in entries]


def repo_routes(hub: HubServer, entries: Sequence[Entry]) -> list[Route]:
    """Routes below /api/models/OWNER/NAME and /api/datasets/OWNER/NAME."""
    return [
        Route(f"/api/{kind}/{{ns}}/{{name}}{path}", _endpoint(hub, handler), methods=[method])
        for kind in KINDS
        for method, path, handler in entries
    ]


def _endpoint(hub: HubServer, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        return await handler(Call(hub, request))

    return endpoint
