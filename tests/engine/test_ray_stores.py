"""Builds on Ray to an object store: nodes share no folder, and the bytes are those of one machine."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from conftest import Cli, tree
from s3.fixtures import Store

from mfsynth.building.run import Run, build
from mfsynth.engine import Shared, check_machines
from mfsynth.errors import BuildError
from mfsynth.options import BuildOptions

ROOT = Path(__file__).parents[2]
MEMORY = 80_000_000
"""Bytes of a node's object store: jobs and results are small."""
LIKE_SMALL = ("--split", "small", "--variants", 2, "--shards", 3, "--noise", 0, 0.1)
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


class Elsewhere:
    """This machine, beside one on which an object has other bytes, or is not there."""

    def __init__(self, path: str, data: bytes | None) -> None:
        self.path, self.data = path, data

    def run(self, *_: object, **__: object) -> Any:
        raise AssertionError("work has started")

    def everywhere(self, look: Callable[[], Any], **_: object) -> Any:
        system = fsspec.filesystem("memory")
        system.rm_file(self.path)
        if self.data is not None:
            system.pipe_file(self.path, self.data)
        return [("node 10.0.0.2", look())]


@pytest.mark.parametrize(("data", "told"), [(None, "does not see"), (b"other", "has another")])
def test_a_machine_with_another_object_store_is_named(data: bytes | None, told: str) -> None:
    fsspec.filesystem("memory").pipe_file("/nodes/new", b"new")
    file = Shared("memory://nodes/new", "what this machine writes to memory://nodes", "share it")
    with pytest.raises(BuildError, match=rf"^node 10\.0\.0\.2 {told} what .*memory://nodes; give every node"):
        check_machines(Elsewhere("/nodes/new", data), [file], dict, print)


def at_home(store: Store) -> dict[str, str]:
    """The environment of a command that starts Ray, whose workers import this checkout."""
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    return store.env | {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",  # else nothing starts on a machine that does other work
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def upload(store: Store, coco: Path) -> str:
    """A COCO folder in the bucket, beside the store's folder."""
    for path in coco.rglob("*"):
        if path.is_file():
            store.system.pipe_file(f"{store.root}-coco/{path.relative_to(coco)}", path.read_bytes())
    return f"{store.url}-coco"


@pytest.mark.slow
def test_a_build_on_ray_to_a_bucket(cli: Cli, store: Store, small_coco: Path, small_pairs: Path) -> None:
    """On this machine only; its Ray inherits the keys."""
    pytest.importorskip("ray")
    words = ("--coco", small_coco, "--out", store.url, "--engine", "ray")
    made = cli("build", *LIKE_SMALL, *words, env=at_home(store) | {"RAY_ADDRESS": "local"})
    assert made.returncode == 0, made.stderr
    assert store.tree() == tree(small_pairs)


# --- two nodes ----------------------------------------------------------------------------------------


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A head without CPUs, where commands run."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": MEMORY}
    made = Cluster(initialize_head=True, head_node_args=head)
    yield made
    made.shutdown()


def add_node(cluster: Any, env: dict[str, str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ.keys() - env.keys():
            patch.delenv(name)
        for name, value in env.items():
            patch.setenv(name, value)
        cluster.add_node(num_cpus=1, object_store_memory=MEMORY)


def started(cluster: Any, env: dict[str, str], *words: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "mfsynth", *map(str, words), "--engine", "ray"],
        env=env | {"RAY_ADDRESS": cluster.address},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0,
    )  # fmt: skip


@pytest.mark.slow
def test_a_node_without_keys_is_named_before_work_starts(
    cluster: Any, store: Store, small_coco: Path
) -> None:
    env = at_home(store)
    add_node(cluster, {name: value for name, value in env.items() if name not in KEYS})
    command = started(cluster, env, "build", *LIKE_SMALL, "--coco", small_coco, "--out", store.url)
    _, errors = command.communicate(timeout=240)
    assert command.returncode == 1
    told = rf"^mfsynth: node \S+ does not see what this machine writes to {store.url}: .*redentials"
    assert re.search(rf"{told}.*; give every node what the object store needs", errors, re.M), errors
    assert store.names() == []


@pytest.mark.slow
def test_nodes_that_share_nothing_build_go_on_and_repair(
    cluster: Any, store: Store, small_coco: Path, tmp_path: Path
) -> None:
    local, env = tmp_path / "local", at_home(store)
    build(BuildOptions("small", variants=20, shards=6), Run(small_coco, local, workers=2))
    coco = upload(store, small_coco)
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
        add_node(cluster, env | {"TMPDIR": str(folder), "RAY_TMPDIR": "/tmp"})
    words = ("build", "--split", "small", "--variants", 20, "--shards", 6, "--coco", coco, "--out", store.url)
    command = started(cluster, env, *words)
    until = time.monotonic() + 240
    while not any(name.startswith(".parts/small-") for name in store.names()):
        assert command.poll() is None, command.communicate()
        assert time.monotonic() < until
        time.sleep(0.1)
    os.killpg(command.pid, signal.SIGINT)
    _, errors = command.communicate(timeout=240)
    assert command.returncode == 130, errors
    assert not [path for folder in folders for path in folder.rglob("tmp-*")]  # no node keeps half a shard
    assert "manifest.json" not in store.names()
    command = started(cluster, env, *words)
    said, errors = command.communicate(timeout=240)
    assert command.returncode == 0, errors
    assert "kept from before" in said
    assert store.tree() == tree(local)
    data = bytearray(store.read("small-000001.tar"))
    data[3000] ^= 1
    store.write("small-000001.tar", bytes(data))
    command = started(cluster, env, "verify", store.url, "--repair", "--coco", coco)
    _, errors = command.communicate(timeout=240)
    assert command.returncode == 0, errors
    assert "rebuilt 1 of 6 shards" in errors
    assert store.tree() == tree(local)
