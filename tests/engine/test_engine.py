"""Workers that die, fail, stop or fall silent: a line says so, and nothing waits for them without end."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mfsynth.engine import Feed, run_jobs, worker
from mfsynth.errors import BuildError, SourceError


class Task(str):
    """A job that is its name."""

    __slots__ = ()

    @property
    def name(self) -> str:
        return str(self)


def work(job: Task, advance: Callable[[int], None]) -> int:
    """Do what the job's name says; the result is the worker's process id."""
    if job == "sleep":
        time.sleep(600)
    if job == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    if job == "fail":
        raise SourceError("no such picture", "look for it")
    if job == "recurse":
        json.loads("[" * 100_000)
    if job == "odd":
        raise OddError(1, 2)
    advance(1)
    return os.getpid()


class OddError(Exception):
    """One that cannot be pickled."""

    def __init__(self, one: int, _two: int) -> None:
        super().__init__(f"odd {one}")


def run(*jobs: str, workers: int = 2, say: Callable[[str], None] = print) -> dict[str, int]:
    tasks = [Task(job) for job in jobs]
    return {
        str(job): pid for job, pid in run_jobs(work, tasks, workers=workers, say=say, progress=lambda _: None)
    }


def no_worker_is_left() -> bool:
    return not [child for child in multiprocessing.active_children() if child.name == "mfsynth worker"]


# --- jobs ---------------------------------------------------------------------------------------------


def test_a_stopped_worker_is_said_and_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "SILENT_SECONDS", 0.5)
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        if "it is stopped" in line:
            os.kill(int(line.partition("kill -CONT ")[2].partition("`")[0]), signal.SIGCONT)

    assert set(run("stop", workers=1, say=say)) == {"stop"}
    assert any(
        line.startswith("worker 1 has reported nothing for ") and line.endswith("; it is working on stop")
        for line in said
    )
    assert no_worker_is_left()


@pytest.mark.parametrize("beside", ["stop", "sleep"])
def test_a_failing_job_ends_the_others_even_a_stopped_one(beside: str) -> None:
    with pytest.raises(SourceError, match="no such picture; look for it"):
        run(beside, "fail")
    assert no_worker_is_left()


@pytest.mark.parametrize(("job", "text"), [("recurse", "recursion"), ("odd", "odd 1")])
def test_any_error_reaches_the_parent_with_its_text(job: str, text: str) -> None:
    with pytest.raises(Exception, match=text):
        run(job, workers=1)
    assert no_worker_is_left()


UNENDING = """
import sys, time
from mfsynth.engine import worker
from mfsynth.engine.worker import Worker, end

def serve(pipe):
    while True:
        time.sleep(1)

if __name__ == "__main__":
    worker.END_SECONDS = 0.2
    worker._STATES = {}
    Worker.kill = lambda self: None  # as for a process in a dead network mount
    one = Worker(serve)
    one.receive()
    one.pipe.close()
    end([one], print)
"""


def test_a_process_that_cannot_be_killed_is_given_up(tmp_path: Path) -> None:
    """Such a process cannot be had for a test; here, the kill is missing."""
    (tmp_path / "script.py").write_text(UNENDING)
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "does not end even when killed: the system holds it" in done.stdout


# --- feeds --------------------------------------------------------------------------------------------


def numbers(number: int) -> Iterator[tuple[int, int]]:
    count = 0
    while True:
        yield number, count
        count += 1


def endings(how: str) -> Any:
    return {"killed": killed, "recursion": recursion, "exit": leaving, "odd": odd}[how]


def killed(number: int) -> Iterator[int]:
    yield number
    os.kill(os.getpid(), signal.SIGKILL)


def recursion(number: int) -> Iterator[int]:
    yield number
    json.loads("[" * 100_000)


def leaving(number: int) -> Iterator[int]:
    yield number
    sys.exit(3)


def odd(number: int) -> Iterator[int]:
    yield number
    raise OddError(1, 2)


def stopping(number: int) -> Iterator[int]:
    yield number
    os.kill(os.getpid(), signal.SIGSTOP)


def taken(feed: Feed[Any], count: int) -> list[Any]:
    items: list[Any] = []
    while len(items) < count:
        item = feed.next(0.1)
        if item is not None:
            items.append(item)
    return items


def test_items_come_in_turn() -> None:
    with Feed(numbers, 3) as feed:
        assert taken(feed, 10) == [(turn % 3, turn // 3) for turn in range(10)]
    assert no_worker_is_left()


@pytest.mark.parametrize(
    ("how", "error", "text"),
    [
        (
            "killed",
            BuildError,
            r"^loader worker 1 of 1 died \(signal 9\); out of memory\? free some$",
        ),
        ("exit", BuildError, r"^loader worker 1 of 1 died \(exit code 3\)"),
        ("recursion", RecursionError, "recursion"),
        ("odd", RuntimeError, "odd 1"),
    ],
)
def test_a_feed_ends_with_what_ended_its_worker(how: str, error: type[Exception], text: str) -> None:
    with Feed(endings(how), 1) as feed:
        assert taken(feed, 1) == [0]
        with pytest.raises(error, match=text):
            taken(feed, 1)
    assert no_worker_is_left()


def test_a_feed_says_that_a_worker_is_stopped_and_closes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "SILENT_SECONDS", 0.2)
    said: list[str] = []
    with Feed(stopping, 1, say=said.append) as feed:
        assert taken(feed, 1) == [0]
        while not any("it is stopped" in line for line in said):
            assert feed.next(0.1) is None
    assert said[0].startswith("loader worker 1 of 1 has reported nothing for ")
    assert no_worker_is_left()


# --- commands -----------------------------------------------------------------------------------------


def children(pid: int) -> list[int]:
    text = " ".join(path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children"))
    pids = [int(word) for word in text.split()]
    return [child for child in pids if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def started(*words: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "mfsynth", *map(str, words)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("number", "code", "line"),
    [
        (signal.SIGINT, 130, "mfsynth: interrupted; run the same command again to continue"),
        (signal.SIGTERM, 143, "mfsynth: terminated; run the same command again to continue"),
    ],
)
def test_one_signal_ends_a_build_whose_worker_is_stopped(
    number: int, code: int, line: str, small_coco: Path, tmp_path: Path
) -> None:
    words = ["--split", "small", "--coco", small_coco, "--out", tmp_path / "out", "--variants", 400]
    build = started("build", *words, "--shards", 9, "--workers", 2)
    while not list(tmp_path.glob("out/*.tar")):
        assert build.poll() is None, build.communicate()
        time.sleep(0.02)
    workers = children(build.pid)
    os.kill(workers[0], signal.SIGSTOP)
    build.send_signal(number)
    _, errors = build.communicate(timeout=60)
    assert build.returncode == code
    assert errors.strip() == line
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)


def test_sigterm_ends_a_verification_in_one_line(small_pairs: Path) -> None:
    verify = started("verify", small_pairs, "--workers", 2)
    while len(workers := children(verify.pid)) < 2:
        assert verify.poll() is None, verify.communicate()
        time.sleep(0.002)
    os.kill(workers[0], signal.SIGSTOP)
    verify.send_signal(signal.SIGTERM)
    _, errors = verify.communicate(timeout=60)
    assert verify.returncode == 143
    assert errors.strip() == "mfsynth: terminated"
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)


def test_an_interrupt_while_commands_are_imported_is_one_line() -> None:
    """Before its first line, Python itself answers with a traceback; never one that shows our imports."""
    codes = set()
    for delay in (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5):
        process = started("verify", "-")
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        codes.add(process.returncode)
        assert "mfsynth.cli" not in errors
        assert "site-packages" not in errors
    assert codes
