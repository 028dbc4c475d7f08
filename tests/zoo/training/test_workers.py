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
from zoo.errors import LoaderError
from zoo.training.data import Batch, Batches, Loader
from zoo.training.loop import LOG_EVERY, train
from zoo.training.presets import preset
from zoo.training.run import TrainRun
from zoo.training.scattered import Position
from zoo.training.sources import SourceSpec

TINY = {
    "model.width": "4", "model.depth": "2", "crop": "16", "pairs": "2", "precision": "fp32",
    "steps": "100000", "validate_every": "100000", "checkpoint_every": "5",
}  # fmt: skip


@pytest.fixture(scope="module")
def data(small_coco: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("recipes") / "set"
    build(BuildOptions("small", variants=4, shards=3, store="recipe"), Run(small_coco, out, workers=1))
    return out


def command(data: Path, out: Path, *more: str) -> list[str]:
    settings = [f"--set={name}={value}" for name, value in TINY.items()]
    names = ["--data", str(data), "--validation", str(data), "--out", str(out), "--cpu", "--workers", "2"]
    return [sys.executable, "-m", "mfsynth", "train", "hf-seg", *names, *settings, *more]


def started(words: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def wait_for(process: subprocess.Popen[str], path: Path) -> None:
    while not path.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def test_a_killed_loader_worker_ends_the_training_which_goes_on_later(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = started(command(data, out))
    wait_for(process, out / "checkpoints" / "step-00000005")
    pids = workers(process.pid)
    os.kill(pids[1], signal.SIGKILL)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    hint = "out of memory? free some, then continue with --resume"
    assert errors.strip().splitlines()[-1] == f"mfsynth: loader worker 2 of 2 died (signal 9); {hint}"
    assert "Traceback" not in errors
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    last = max(int(path.name.removeprefix("step-")) for path in (out / "checkpoints").glob("step-*"))
    spec = (SourceSpec(str(data)),)
    run = TrainRun(spec, out, spec, workers=2, resume=True, cpu=True, progress=interrupt)
    steps = train(preset("hf-seg", "fast").override(TINY), run).steps
    assert steps == (last // LOG_EVERY + 1) * LOG_EVERY  # progress is told with the log


def interrupt(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_a_training_whose_loader_worker_is_stopped_answers_the_first_interrupt(
    data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    process = started(command(data, out))
    wait_for(process, out / "checkpoints" / "step-00000005")
    pids = workers(process.pid)
    os.kill(pids[0], signal.SIGSTOP)
    time.sleep(1)  # now it waits for that worker's next batch
    process.send_signal(signal.SIGINT)
    shown, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    stopped = re.search(r"stopped after ([\d,]+) of 100,000 steps; continue with --resume", shown)
    assert stopped
    assert (out / "checkpoints" / f"step-{int(stopped[1].replace(',', '')):08d}").exists()
    assert "Traceback" not in errors
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
    options = preset("hf-seg", "fast").override(TINY)
    spec = (SourceSpec(str(data)),)
    rng = random.Random(5)
    for number in range(rounds):
        folder = out / str(number)
        run = TrainRun(spec, folder, spec, workers=2, cpu=True)
        timer = kill_one_at(rng.uniform(0, latest))
        with pytest.raises(LoaderError, match=r"loader worker [12] of 2 died \(signal 9\)") as caught:
            train(options, run)
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


@pytest.mark.parametrize("workers", [0, 2])
def test_any_error_in_a_batch_is_one_of_ours_with_its_text(workers: int) -> None:
    broken = Broken((), preset("hf-seg", "fast"), workers=max(workers, 1))
    with Loader(broken, workers) as loader:
        for _ in range(max(workers, 1)):
            assert loader.next()
        with pytest.raises(LoaderError, match=r"^a batch could not be made: RecursionError: maximum rec.*$"):
            loader.next()
    assert not multiprocessing.active_children()


@pytest.mark.slow
def test_a_killed_loader_worker_ends_every_process_of_a_training(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ranks = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    process = started([sys.executable, *ranks, *command(data, out)[1:]])
    wait_for(process, out / "checkpoints" / "step-00000005")
    victim = next(worker for rank in children(process.pid) for worker in workers(rank))
    os.kill(victim, signal.SIGKILL)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    lines = [line for line in errors.splitlines() if line.startswith("mfsynth: ")]
    assert any("died (signal 9)" in line and "--resume" in line for line in lines)
    assert any("another process of this training has ended" in line for line in lines)
    assert "zoo/training" not in errors  # no traceback of ours; torchrun prints its own
