"""Jobs on Ray: what comes out is what this machine makes, whatever happens to the nodes."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil
import pytest
from conftest import Cli, tree

import mfsynth
from mfsynth.building.run import Run, build
from mfsynth.engine import Shared, check_machines, open_engine, worker
from mfsynth.errors import BuildError, MissingExtraError, OptionsError, SourceError
from mfsynth.options import BuildOptions
from mfsynth.verification.check import verify_with

ROOT = Path(__file__).parents[2]
MEMORY = 80_000_000
"""Bytes of a node's object store: jobs and results are small."""
OPTIONS = BuildOptions("small", variants=2, shards=3, noise=(0.0, 0.1))
"""As the fixture `small_pairs` is made."""
MANY = ("--split", "small", "--variants", "60", "--shards", "9")
"""A build that takes long enough to be disturbed."""


class Task(str):
    """A job that is its name."""

    __slots__ = ()

    @property
    def name(self) -> str:
        return str(self)


def work(job: Task, advance: Callable[[int], None]) -> str:
    """Do what the job's name says."""
    if job.startswith("crash"):
        os.kill(os.getpid(), signal.SIGKILL)
    if job.startswith("once "):
        seen = Path(job.removeprefix("once "))
        if not seen.exists():
            seen.touch()
            os.kill(os.getpid(), signal.SIGKILL)
    if job == "fail":
        raise SourceError("no such picture", "look for it")
    if job == "odd":
        raise OddError(1, 2)
    if job.startswith("write "):
        while True:
            with Path(job.removeprefix("write ")).open("a") as file:
                file.write("x")
            time.sleep(0.01)
    advance(1)
    return f"{job} done"


def write(path: Path) -> None:
    """Write and write, as long as the process lives."""
    work(Task(f"write {path}"), lambda _: None)


def nap(seconds: float) -> int:
    """Take long."""
    time.sleep(seconds)
    return os.getpid()


def missing_there() -> Callable[[], None]:
    """A function of a module that no node has."""
    module = ModuleType("nowhere")
    exec("def look(): pass", module.__dict__)
    sys.modules["nowhere"] = module
    look: Callable[[], None] = module.look
    return look


class OddError(Exception):
    """One that cannot be pickled."""

    def __init__(self, one: int, _two: int) -> None:
        super().__init__(f"odd {one}")


# --- without a cluster --------------------------------------------------------------------------------


class Elsewhere:
    """This machine, beside one that lacks some files, or has other versions."""

    def __init__(self, *hidden: Path, **versions: str) -> None:
        self.hidden, self.versions = hidden, versions

    def run(self, *_: object, **__: object) -> Any:
        raise AssertionError("work has started")

    def everywhere(self, look: Callable[[], Any], **_: object) -> Any:
        moved = [(path, path.with_name(f"hidden-{path.name}")) for path in self.hidden]
        for path, away in moved:
            path.rename(away)
        try:
            seen = look()
        finally:
            for path, away in moved:
                away.rename(path)
        return [("node 10.0.0.2", type(seen)(seen.files, {**seen.versions, **self.versions}))]


def test_a_folder_that_is_not_shared_is_an_error_before_work_starts(small_coco: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    with pytest.raises(BuildError, match=r"^node 10\.0\.0\.2 does not see what .*; all nodes must share"):
        build(OPTIONS, Run(small_coco, out, engine=Elsewhere(tmp_path)))
    assert tree(out) == {}


def test_data_that_is_not_shared_is_an_error_before_work_starts(small_coco: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    with pytest.raises(BuildError, match=r"^node 10\.0\.0\.2 does not see .*small.*give it with --coco"):
        build(OPTIONS, Run(small_coco, out, engine=Elsewhere(small_coco)))
    assert tree(out) == {}


def test_a_data_set_that_is_not_shared_is_not_verified(small_pairs: Path, tmp_path: Path) -> None:
    shutil.copytree(small_pairs, tmp_path / "set")
    hidden = Elsewhere(tmp_path / "set" / "manifest.json")
    with pytest.raises(
        BuildError, match=r"^node 10\.0\.0\.2 does not see .*manifest.json; all nodes must share"
    ):
        verify_with(
            hidden, tmp_path / "set", samples=1, seed=0, workers=0, say=print, progress=lambda *_: None
        )


def test_another_version_is_an_error_before_work_starts(small_coco: Path, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"^node 10\.0\.0\.2 has other versions.*numpy 1\.0 \(not "):
        build(OPTIONS, Run(small_coco, tmp_path / "set", engine=Elsewhere(numpy="1.0")))


def test_a_folder_of_another_build_is_kept_where_a_machine_cannot_write_to_it(
    small_coco: Path, small_pairs: Path, tmp_path: Path
) -> None:
    out = tmp_path / "set"
    build(OPTIONS, Run(small_coco, out, workers=1))
    other = BuildOptions("small", shards=2)
    with pytest.raises(BuildError, match="does not see"):
        build(other, Run(small_coco, out, overwrite=True, engine=Elsewhere(out)))
    assert tree(out) == tree(small_pairs)


def test_a_file_of_the_same_name_is_not_the_same_file(tmp_path: Path) -> None:
    class Changing(Elsewhere):
        def everywhere(self, look: Callable[[], Any], **_: object) -> Any:
            (tmp_path / "manifest.json").write_text("another")
            return super().everywhere(look)

    (tmp_path / "manifest.json").write_text("one")
    manifest = Shared(str(tmp_path / "manifest.json"), "the manifest", "copy it")
    with pytest.raises(BuildError, match="has another the manifest; copy it"):
        check_machines(Changing(), [manifest], dict, print)


@pytest.mark.parametrize("address", ["10.0.0.1", "ray://10.0.0.1:10001", ":6379", "head:port"])
def test_an_address_that_makes_no_sense_is_refused(address: str) -> None:
    with pytest.raises(OptionsError, match="is not the HOST:PORT of a Ray cluster"):
        mfsynth.build("demo", engine="ray", ray_address=address)


def test_an_address_without_ray_is_refused(cli: Cli) -> None:
    run = cli("build", "--split", "demo", "--ray-address", "127.0.0.1:6379")
    assert run.returncode == 2
    assert run.stderr.startswith("mfsynth: the address of a Ray cluster is given, and Ray is not chosen")


def test_an_engine_that_there_is_not_is_refused(small_pairs: Path) -> None:
    with pytest.raises(OptionsError, match="there is no engine 'rai'; known: local, ray"):
        mfsynth.verify(small_pairs, engine="rai")  # type: ignore[arg-type]


@pytest.mark.parametrize("command", ["build", "verify"])
def test_an_address_at_which_nobody_answers_is_one_line(cli: Cli, small_pairs: Path, command: str) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        words = {"build": ["--split", "demo"], "verify": [str(small_pairs)]}[command]
        started = time.monotonic()
        run = cli(command, *words, "--engine", "ray", "--ray-address", address)
    assert run.returncode == 1
    assert run.stderr.startswith(f"mfsynth: no Ray cluster answers at {address}: Connection refused; run ")
    assert run.stderr.count("\n") == 1
    assert time.monotonic() - started < 60


def test_what_listens_and_is_not_ray_is_one_line(cli: Cli, small_pairs: Path) -> None:
    class Web(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Web) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,)).start()
        address = f"127.0.0.1:{server.server_address[1]}"
        run = cli("verify", small_pairs, "--engine", "ray", "--ray-address", address)
        server.shutdown()
    assert run.returncode == 1
    assert run.stderr.startswith(f"mfsynth: what listens at {address} is not a Ray cluster; run ")
    assert run.stderr.count("\n") == 1


def test_without_ray_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "mfsynth.engine.ray", raising=False)
    with pytest.raises(MissingExtraError, match=r"ray is not installed.*\[ray\]"):
        open_engine("ray")


# --- one node -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def nodes() -> Iterator[None]:
    """Let the nodes that tests start import this checkout."""
    with pytest.MonkeyPatch.context() as patch:
        paths = [str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")]
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_worker_niceness", "0")  # else nothing starts on a machine that does other work
        yield


def test_a_build_on_ray_is_the_build_of_this_machine(
    nodes: None, small_coco: Path, small_pairs: Path, tmp_path: Path
) -> None:
    """In a program that has connected to Ray itself; relative paths mean there what they mean here."""
    ray = pytest.importorskip("ray")
    handler = signal.getsignal(signal.SIGTERM)
    ray.init("local", num_cpus=1, object_store_memory=MEMORY, include_dashboard=False, log_to_driver=False)
    told: list[tuple[int, int]] = []
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(tmp_path)
            report = mfsynth.build(
                "small", coco=os.path.relpath(small_coco), out="set", variants=2, shards=3, noise=(0.0, 0.1),
                engine="ray", progress=lambda done, total: told.append((done, total)),
            )  # fmt: skip
            result = mfsynth.verify("set", engine="ray")
        assert ray.is_initialized()
    finally:
        ray.shutdown()
        signal.signal(signal.SIGTERM, handler)  # which Ray has replaced
    assert tree(tmp_path / "set") == tree(small_pairs)
    assert (report.samples, report.made, told[-1]) == (18, 3, (18, 18))
    assert result.ok


# --- two nodes ----------------------------------------------------------------------------------------


NODE = {"object_store_memory": MEMORY}


@pytest.fixture(scope="module")
def cluster(nodes: None) -> Iterator[Any]:
    """A head without CPUs, where commands run, and two nodes with one each."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **NODE})
    made.workers = [made.add_node(num_cpus=1, **NODE) for _ in range(2)]
    yield made
    made.shutdown()


def started(cluster: Any, *words: object) -> subprocess.Popen[str]:
    on_ray = ["--engine", "ray", "--ray-address", cluster.address]
    return subprocess.Popen(
        [sys.executable, "-m", "mfsynth", *map(str, words), *on_ray],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0,
    )  # fmt: skip


def wait_for_shards(command: subprocess.Popen[str], out: Path, count: int) -> None:
    until = time.monotonic() + 240
    while len(list((out / ".parts").glob("small-*.json"))) < count:  # written after their shards
        assert command.poll() is None, command.communicate()
        assert time.monotonic() < until
        time.sleep(0.02)


def lose(cluster: Any, node: Any, command: subprocess.Popen[str]) -> None:
    """End a node in the middle of a job as a loss of power would: all its processes, none by another."""
    raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
    until = time.monotonic() + 240
    # Ray names a process by what it does
    while not any("_do_job" in " ".join(each.cmdline()) for each in raylet.children()):
        assert command.poll() is None, command.communicate()
        assert time.monotonic() < until
        time.sleep(0.01)
    raylet.suspend()
    for process in raylet.children():
        process.kill()
    cluster.remove_node(node, allow_graceful=False)


def makers(out: Path) -> list[Path]:
    return list((out / ".parts").glob("tmp-*.tar-*"))


@pytest.fixture(scope="module")
def many(small_coco: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the build of MANY makes on one machine."""
    out = tmp_path_factory.mktemp("many") / "set"
    build(BuildOptions("small", variants=60, shards=9), Run(small_coco, out, workers=2))
    return out


@pytest.mark.slow
def test_a_lost_node_costs_nothing_but_time(
    cluster: Any, small_coco: Path, many: Path, tmp_path: Path
) -> None:
    out = tmp_path / "set"
    command = started(cluster, "build", *MANY, "--coco", small_coco, "--out", out)
    wait_for_shards(command, out, 2)
    lose(cluster, cluster.workers.pop(), command)
    said, errors = command.communicate(timeout=300)
    cluster.workers.append(cluster.add_node(num_cpus=1, **NODE))
    assert command.returncode == 0, errors
    assert tree(out) == tree(many)
    lines = [line for line in errors.splitlines() if line.startswith("mfsynth: ")]
    assert lines
    assert all(" was lost; another one takes small-00000" in line for line in lines), errors
    assert said.startswith("made 540 samples in 9 shards")
    assert said.count("\n") == 1, said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_a_signal_leaves_a_folder_to_go_on_from(
    cluster: Any, small_coco: Path, many: Path, tmp_path: Path, number: int, code: int, word: str
) -> None:
    out = tmp_path / "set"
    words = ["build", *MANY, "--coco", small_coco, "--out", out]
    command = started(cluster, *words)
    wait_for_shards(command, out, 2)
    os.killpg(command.pid, number)
    _, errors = command.communicate(timeout=120)
    assert (command.returncode, errors.strip()) == (
        code, f"mfsynth: {word}; run the same command again to continue",
    )  # fmt: skip
    assert not makers(out)
    left = tree(out)
    assert not (out / "manifest.json").exists()
    time.sleep(2)
    assert tree(out) == left  # nobody works on it any longer
    shards = {name: digest for name, digest in left.items() if name.endswith(".tar")}
    assert shards.items() <= tree(many).items()
    again = started(cluster, *words, "--json")
    said, errors = again.communicate(timeout=300)
    assert again.returncode == 0, errors
    assert json.loads(said)["kept"] >= 2
    assert tree(out) == tree(many)


@pytest.mark.slow
def test_verify_and_repair(cluster: Any, small_coco: Path, small_pairs: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    mfsynth.build(
        "small", coco=small_coco, out=out, variants=2, shards=3, noise=(0.0, 0.1),
        engine="ray", ray_address=cluster.address,
    )  # fmt: skip
    with (out / "small-000001.tar").open("r+b") as file:
        file.seek(700)
        file.write(b"?")
    command = started(cluster, "verify", out, "--json")
    said, errors = command.communicate(timeout=120)
    assert command.returncode == 1, errors
    assert {problem["shard"] for problem in json.loads(said)["problems"]} == {"small-000001.tar"}
    command = started(cluster, "verify", out, "--repair", "--coco", small_coco)
    said, errors = command.communicate(timeout=120)
    assert command.returncode == 0, errors
    assert said.startswith(f"{out} is intact")
    assert tree(out) == tree(small_pairs)


@pytest.mark.slow
def test_jobs_that_fail_or_crash(cluster: Any, tmp_path: Path) -> None:
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    said: list[str] = []

    def run(*jobs: str) -> dict[str, str]:
        tasks = [Task(job) for job in jobs]
        done = engine.run(work, tasks, workers=0, say=said.append, progress=lambda _: None)
        return {str(job): result for job, result in done}

    handler = signal.getsignal(signal.SIGTERM)
    with open_engine("ray", cluster.address) as engine:
        assert run(*map(str, range(20))) == {str(job): f"{job} done" for job in range(20)}
        with pytest.raises(SourceError, match="no such picture; look for it"):
            run("1", "fail")
        with pytest.raises(RuntimeError, match="odd 1"):
            run("odd")
        assert run(f"once {tmp_path / 'seen'}", "1")
        assert said == [f"the worker on once {tmp_path / 'seen'} died (it crashed); trying once more"]
        with pytest.raises(
            BuildError, match=r"the worker on crash died twice \(it crashed\); out of memory\?"
        ):
            run("crash", "1")
        written = tmp_path / "written"
        with pytest.raises(SourceError):
            run(f"write {written}", "fail")
        assert nobody_writes(written)
    assert signal.getsignal(signal.SIGTERM) == handler


def nobody_writes(path: Path) -> bool:
    """Whether a file stays as it is; there may be none."""
    sizes = []
    for _ in range(2):
        sizes.append(path.stat().st_size if path.exists() else 0)
        time.sleep(1)
    return sizes[0] == sizes[1]


@pytest.mark.slow
def test_every_other_node_is_asked(cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    monkeypatch.setattr(worker, "SILENT_SECONDS", 2.0)
    said: list[str] = []
    with open_engine("ray", cluster.address) as engine:

        def ask(look: Callable[[], Any], seconds: float = 120) -> set[Any]:
            return {answer for _, answer in engine.everywhere(look, say=said.append, seconds=seconds)}

        assert len(ask(os.getpid)) == 2
        with pytest.raises(BuildError, match=r"^node \S+ of the Ray cluster cannot run mfsynth: .*'nowhere'"):
            ask(missing_there())
        assert ask(partial(work, Task(f"once {tmp_path / 'seen'}"), print)) == {
            f"once {tmp_path / 'seen'} done"
        }
        said.clear()
        assert len(ask(partial(nap, 7))) == 2
        assert re.fullmatch(r"node \S+ has reported nothing for \d+ s; .*waits for up to 120 s", said[0])
        with pytest.raises(
            BuildError, match=r"^node \S+ .*has not answered for 5 s; .*RAY_worker_niceness=0"
        ):
            ask(partial(write, tmp_path / "written"), seconds=5)
        assert (tmp_path / "written").exists()
        assert nobody_writes(tmp_path / "written")


@pytest.mark.slow
def test_a_node_that_died_a_moment_ago_is_left_out(cluster: Any) -> None:
    """Ray lists it as alive for several seconds more."""
    with open_engine("ray", cluster.address) as engine:
        cluster.remove_node(cluster.workers.pop(), allow_graceful=False)
        try:
            assert len(engine.everywhere(os.getpid, say=print)) == 1
        finally:
            cluster.workers.append(cluster.add_node(num_cpus=1, **NODE))
