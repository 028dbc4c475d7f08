"""Loader workers that die, fail or stop: a training ends in one line, and what it has done is kept."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from processes import children, workers

from mfsynth.building.run import Run, build
from mfsynth.options import BuildOptions
from tests.zoo.conftest import Start
from tests.zoo.training.conftest import TINY, command, run, wait_for
from zoo.errors import LoaderError
from zoo.training.data import Batch, Batches, Loader
from zoo.training.loop import train
from zoo.training.presets import preset
from zoo.training.scattered import Position
from zoo.training.sources import SourceSpec

LONG = {"crop": "16", "steps": "100000", "validate_every": "100000", "checkpoint_every": "5"}
OPTIONS = preset("hf-seg", "fast").override(TINY | LONG)


@pytest.fixture(scope="module")
def data(small_coco: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("recipes") / "set"
    build(BuildOptions("small", variants=4, shards=3, store="recipe"), Run(small_coco, out, workers=1))
    return out


def words(data: Path, out: Path, *more: str) -> tuple[str, ...]:
    """Of a training without end, with two workers."""
    return command(SourceSpec(str(data)), out, "--validation", str(data), "--workers", "2", *more, **LONG)


def last_step(out: Path) -> int:
    """That of the last checkpoint."""
    return max(int(path.name.removeprefix("step-")) for path in (out / "checkpoints").glob("step-*"))


def test_a_killed_loader_worker_ends_the_training_which_goes_on_and_answers_the_first_interrupt(
    data: Path, tmp_path: Path, started: Start
) -> None:
    """Also while it waits for another worker, which is stopped."""
    out = tmp_path / "out"
    with started(*words(data, out)) as training:
        wait_for(out / "checkpoints" / "step-00000005", training)
        pids = workers(training.pid)
        os.kill(pids[1], signal.SIGKILL)
        done = training.finished()
    assert done.returncode == 1
    hint = "out of memory? free some, then continue with --resume"
    assert done.stderr.strip().splitlines()[-1] == f"mfsynth: loader worker 2 of 2 died (signal 9); {hint}"
    assert "Traceback" not in done.stderr
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)

    before = last_step(out)
    with started(*words(data, out, "--resume")) as training:
        wait_for(out / "checkpoints" / f"step-{before // 5 * 5 + 5:08d}", training)
        pids = workers(training.pid)
        os.kill(pids[0], signal.SIGSTOP)
        time.sleep(1)  # now it waits for that worker's next batch
        os.kill(training.pid, signal.SIGINT)
        done = training.finished()
    assert done.returncode == 130
    stopped = re.search(r"stopped after ([\d,]+) of 100,000 steps; continue with --resume", done.stdout)
    assert stopped
    assert last_step(out) == int(stopped[1].replace(",", "")) > before
    assert "Traceback" not in done.stderr
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def kill_one_at(moment: float) -> threading.Timer:
    """Kill one of this process's workers some time after they are there."""

    def kill() -> None:
        while not (workers := multiprocessing.active_children()):
            time.sleep(0.01)
        time.sleep(moment)
        random.choice(workers).kill()

    timer = threading.Timer(0, kill)
    timer.start()
    return timer


def kill_workers(data: Path, out: Path, rounds: int, latest: float) -> None:
    source = SourceSpec(str(data))
    rng = random.Random(5)
    for number in range(rounds):
        folder = out / str(number)
        timer = kill_one_at(rng.uniform(0, latest))
        with pytest.raises(LoaderError, match=r"loader worker [12] of 2 died \(signal 9\)") as caught:
            train(OPTIONS, run(folder, source, validation=(source,), workers=2))
        timer.join()
        assert not multiprocessing.active_children()
        saved = list((folder / "checkpoints").glob("step-*"))
        assert ("--resume" in str(caught.value)) == bool(saved)


def test_killed_loader_workers_never_hang_a_training(data: Path, tmp_path: Path) -> None:
    kill_workers(data, tmp_path, 2, 1.5)


@pytest.mark.slow
def test_fifty_killed_loader_workers_never_hang_a_training(data: Path, tmp_path: Path) -> None:
    kill_workers(data, tmp_path, 50, 5)


class Broken(Batches):
    """Batches that fail in a way that nobody foresaw."""

    def of(self, worker: int) -> Iterator[Batch]:
        nothing = torch.zeros(1, dtype=torch.uint8)
        yield Batch(nothing, (), nothing, nothing, worker, Position())
        json.loads("[" * 100_000)


@pytest.mark.parametrize("workers", [0, 1])
def test_any_error_in_a_batch_is_one_of_ours_with_its_text(workers: int) -> None:
    with Loader(Broken((), preset("hf-seg", "fast")), workers) as loader:
        assert loader.next()
        with pytest.raises(LoaderError, match=r"^a batch could not be made: RecursionError: maximum rec.*$"):
            loader.next()
    assert not multiprocessing.active_children()


@pytest.mark.slow
def test_a_killed_loader_worker_ends_every_process_of_a_training(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ranks = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "mfsynth"]
    process = subprocess.Popen(
        [sys.executable, *ranks, *words(data, out)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, process_group=0, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    while not (out / "checkpoints" / "step-00000005").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    victim = next(worker for rank in children(process.pid) for worker in workers(rank))
    os.kill(victim, signal.SIGKILL)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    lines = [line for line in errors.splitlines() if line.startswith("mfsynth: ")]
    assert any("died (signal 9)" in line and "--resume" in line for line in lines)
    assert any("another process of this training has ended" in line for line in lines)
    assert "zoo/training" not in errors  # no traceback of ours; torchrun prints its own
