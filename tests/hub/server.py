"""A Hugging Face Hub on the loopback interface for the real client: origins, users, repositories in memory.

It speaks the protocol of huggingface_hub 2.4. Large files are on a second port, as on the public Hub: the
client has to follow a redirect there and must not send its token.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import uvicorn
from hub import reading, transfer, writing
from hub.call import repo_routes, routes
from hub.door import Door
from hub.faults import Faults, Request
from hub.refusal import RefusedError, refuse
from hub.repos import File, Kind, Note, Repo
from hub.transfer import Upload, new_key
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp

MIB = 1 << 20


@dataclass(frozen=True)
class User:
    name: str
    token: str
    orgs: tuple[str, ...] = ()
    can_write: bool = True
    """Whether the token is for writing, too."""

    def member_of(self, namespace: str) -> bool:
        return namespace == self.name or namespace in self.orgs

    def owns(self, namespace: str) -> bool:
        return self.can_write and self.member_of(namespace)


ANN = User("ann", "hf_token_of_ann", orgs=("lab",))
BOB = User("bob", "hf_token_of_bob")


class HubServer:
    """The server and, for tests, ways around the protocol: create and read repositories, plan faults."""

    def __init__(self) -> None:
        sockets = [_listening(), _listening()]
        self.port, self.cdn_port = (sock.getsockname()[1] for sock in sockets)
        self.url = f"http://127.0.0.1:{self.port}"
        self.cdn_url = f"http://127.0.0.1:{self.cdn_port}"
        self.reset()
        doors = [Door(_hub_app(self), self, "hub"), Door(_cdn_app(self), self, "cdn")]
        self._servers = [uvicorn.Server(_config(door)) for door in doors]
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(sockets)), daemon=True)

    def reset(self) -> None:
        """Forget all but the two users, Ann and Bob."""
        self.lfs_threshold = 10 * MIB
        """Files of at least this size are LFS, whatever their name."""
        self.part_size = 64 * MIB
        """Larger LFS files are sent in parts."""
        self.tree_page = 1000
        self.faults = Faults()
        self.log: list[Request] = []
        self.crashes: list[str] = []
        """Tracebacks of the server's own errors."""
        self._users = {user.token: user for user in (ANN, BOB)}
        self._repos: dict[tuple[Kind, str], Repo] = {}
        self._uploads: dict[str, Upload] = {}
        self._downloads: dict[str, File] = {}

    # For tests.

    def add_user(self, user: User) -> User:
        self._users[user.token] = user
        return user

    def create_repo(self, repo_id: str, kind: Kind = "models", *, private: bool = False) -> Repo:
        repo = Repo(kind, repo_id, private)
        self._repos[kind, repo_id] = repo
        return repo

    def repo(self, repo_id: str, kind: Kind = "models") -> Repo:
        return self._repos[kind, repo_id]

    def commit(
        self,
        repo_id: str,
        changes: Mapping[str, bytes | None],
        kind: Kind = "models",
        *,
        revision: str = "main",
        title: str = "change",
    ) -> str:
        """Commit as another user would; None deletes a file. Returns the commit's id."""
        repo = self.repo(repo_id, kind)
        ref = repo.writable_ref(revision)
        files = dict(repo.resolve(ref).files)
        for path, data in changes.items():
            if data is None:
                del files[path]
            else:
                files[path] = File(data, repo.wants_lfs(path, len(data), self.lfs_threshold))
        repo.objects.update({file.sha256: file.data for file in files.values() if file.lfs})
        return repo.commit(ref, files, Note(title)).id

    def requests(self, pattern: str = "") -> list[Request]:
        """The requests with the pattern in their "METHOD /path?query", in order."""
        return [request for request in list(self.log) if re.search(pattern, request.line)]

    # For the handlers.

    def user_of(self, authorization: str) -> User | None:
        scheme, _, token = authorization.partition(" ")
        return self._users.get(token) if scheme == "Bearer" else None

    def find(self, repo_id: str, kind: Kind) -> Repo | None:
        return self._repos.get((kind, repo_id))

    def repos_of(self, kind: Kind) -> list[Repo]:
        return [repo for repo in self._repos.values() if repo.kind == kind]

    def remove_repo(self, repo: Repo) -> None:
        del self._repos[repo.kind, repo.id]

    def rename_repo(self, repo: Repo, repo_id: str) -> None:
        if self.find(repo_id, repo.kind) is not None:
            raise RefusedError(409, f"{repo_id} exists already")
        self.remove_repo(repo)
        repo.id = repo_id
        self._repos[repo.kind, repo_id] = repo

    def allow_upload(self, upload: Upload) -> str:
        key = new_key()
        self._uploads[key] = upload
        return key

    def allowed_upload(self, key: str | None) -> Upload | None:
        return self._uploads.get(key or "")

    def allow_download(self, file: File) -> str:
        key = new_key()
        self._downloads[key] = file
        return key

    def allowed_download(self, key: str | None) -> File | None:
        return self._downloads.get(key or "")

    # Running.

    def start(self) -> None:
        self._thread.start()
        while not all(server.started for server in self._servers):
            if not self._thread.is_alive():
                raise RuntimeError("the hub did not start")
            time.sleep(0.01)

    def stop(self) -> None:
        for server in self._servers:
            server.should_exit = True
        self._thread.join()

    async def _serve(self, sockets: list[socket.socket]) -> None:
        pairs = zip(self._servers, sockets, strict=True)
        await asyncio.gather(*(server.serve(sockets=[sock]) for server, sock in pairs))


@contextlib.contextmanager
def serving() -> Iterator[HubServer]:
    """A running server."""
    hub = HubServer()
    hub.start()
    try:
        yield hub
    finally:
        hub.stop()


def _listening() -> socket.socket:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    return sock


def _config(app: ASGIApp) -> uvicorn.Config:
    # Some tests break connections on purpose; uvicorn would log each as an error.
    quiet = {"log_config": None, "log_level": "critical", "access_log": False}
    return uvicorn.Config(
        app, http="h11", ws="none", lifespan="off", loop="asyncio", timeout_graceful_shutdown=1, **quiet
    )


def _hub_app(hub: HubServer) -> ASGIApp:
    found = [
        *routes(hub, (*reading.ENTRIES, *writing.ENTRIES, *transfer.ENTRIES)),
        *repo_routes(hub, (*reading.REPO_ENTRIES, *writing.REPO_ENTRIES)),
    ]
    return _app(found)


def _cdn_app(hub: HubServer) -> ASGIApp:
    return _app(routes(hub, transfer.CDN_ENTRIES))


def _app(found: list[Route]) -> ASGIApp:
    app = Starlette(routes=found, exception_handlers={RefusedError: refuse})
    app.router.redirect_slashes = False
    return app
