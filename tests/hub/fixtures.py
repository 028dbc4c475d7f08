"""Fixtures for tests against the hub on the loopback: `hub`, `hub_env`, `client`.

huggingface_hub reads most of its settings when it is imported, so code that uses it runs in its own process,
with the environment from `hub_env`.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from textwrap import dedent
from typing import Any, Protocol

import pytest
from hub.server import ANN, HubServer, serving
from warm_python import WarmPython

SNIPPET_START = '''
import json
from pathlib import Path
from huggingface_hub import (
    CommitOperationAdd, CommitOperationCopy, CommitOperationDelete,
    HfApi, HfFileSystem, hf_hub_download, snapshot_download,
)

api = HfApi()


def tell(value):
    """Send a value to the test."""
    print(json.dumps(value))


def add(path, data):
    return CommitOperationAdd(path_in_repo=path, path_or_fileobj=data)


def error(call, *args, **kwargs):
    """The class and the HTTP status of the error that a call raises; None if it succeeds."""
    try:
        call(*args, **kwargs)
    except Exception as raised:
        return [type(raised).__name__, getattr(getattr(raised, "response", None), "status_code", None)]
    return None
'''


class HubEnv(Protocol):
    def __call__(self, token: str | None = ANN.token, home: Path | None = None) -> dict[str, str]: ...


@pytest.fixture(scope="session")
def hub_server() -> Iterator[HubServer]:
    with serving() as server:
        yield server


@pytest.fixture
def hub(hub_server: HubServer) -> Iterator[HubServer]:
    """The hub, with two users and nothing else."""
    hub_server.reset()
    yield hub_server
    assert not hub_server.crashes, hub_server.crashes[0]


@pytest.fixture
def hub_env(hub: HubServer, tmp_path: Path) -> HubEnv:
    """An environment in which the client talks only to the hub, by default as Ann, with an empty cache."""

    def env(token: str | None = ANN.token, home: Path | None = None) -> dict[str, str]:
        home = home or Path(mkdtemp(prefix="hf-home-", dir=tmp_path))
        own = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
        return own | _settings(hub, home) | ({} if token is None else {"HF_TOKEN": token})

    return env


def _settings(hub: HubServer, home: Path) -> dict[str, str]:
    return {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_XET": "1",  # Xet uploads would bypass the hub
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_ETAG_TIMEOUT": "2",
        "HF_HUB_DOWNLOAD_TIMEOUT": "2",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }


@dataclass(frozen=True)
class Client:
    """Runs snippets of Python that use huggingface_hub; SNIPPET_START defines what they can use."""

    python: WarmPython
    env: HubEnv
    folder: Path

    def __call__(self, code: str, *, token: str | None = ANN.token, home: Path | None = None) -> Any:
        """The last value that the snippet passes to `tell`; it must not fail."""
        done = self.run(code, token=token, home=home)
        if done.returncode != 0:
            pytest.fail(f"the snippet ended with {done.returncode}:\n{done.stderr}")
        return json.loads(done.stdout.splitlines()[-1])

    def run(
        self, code: str, *, token: str | None = ANN.token, home: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a snippet that may fail, in the test's `tmp_path`."""
        return self.python.run(code=SNIPPET_START + dedent(code), env=self.env(token, home), cwd=self.folder)


@pytest.fixture
def client(light: WarmPython, hub_env: HubEnv, tmp_path: Path) -> Client:
    """The real client, talking to the hub."""
    return Client(light, hub_env, tmp_path)
