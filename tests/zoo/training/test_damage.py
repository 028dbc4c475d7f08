"""Trainings whose folder was damaged, or is used by another: nothing wrong is silent, nothing is lost."""

import csv
import json
import re
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from mfsynth.errors import OutputError
from mfsynth.locks import locked
from tests.zoo.training.conftest import DATA, TINY, digest, interrupted_at, run
from zoo.errors import TrainingError
from zoo.training.loop import train
from zoo.training.presets import preset
from zoo.training.run import TrainRun
from zoo.training.sources import SourceSpec

OPTIONS = preset("hf-seg", "fast").override(TINY | {"checkpoint_every": "4", "steps": "12", "ema": "0.5"})


def ends_with(out):
    """SHA-256 of the network that a resumed training ends with."""
    train(OPTIONS, run(out, resume=True))
    return digest(out)


@pytest.fixture(scope="module")
def halfway(tmp_path_factory):
    """A training that was stopped after 10 of 12 steps; it has the checkpoints 8 and 10."""
    out = tmp_path_factory.mktemp("halfway") / "out"
    train(OPTIONS, run(out, progress=interrupted_at(10)))
    return out


@pytest.fixture
def out(halfway, tmp_path):
    return Path(shutil.copytree(halfway, tmp_path / "out"))


@pytest.fixture(scope="module")
def undisturbed(halfway, tmp_path_factory):
    return ends_with(Path(shutil.copytree(halfway, tmp_path_factory.mktemp("undisturbed") / "out")))


def last(out):
    return out / "checkpoints" / "step-00000010"


# --- checkpoints ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["model", "optimizer", "ema"])
@pytest.mark.parametrize("place", [0.3, 0.6, 0.9])
def test_flipped_bit_in_a_checkpoint_is_named_with_the_one_before(name, place, out):
    file = last(out) / f"{name}.safetensors"
    data = bytearray(file.read_bytes())
    data[int(place * len(data))] ^= 64
    file.write_bytes(data)
    with pytest.raises(TrainingError, match=rf"step-00000010 is damaged.*{name}\.safetensors.*step-00000008"):
        train(OPTIONS, run(out, resume=True))
    assert not (out / "model.safetensors").exists()


def test_the_checkpoint_before_resumes(out, undisturbed):
    shutil.rmtree(last(out))
    assert ends_with(out) == undisturbed


def test_flipped_bits_in_the_state_never_pass(out):
    """Every eleventh byte: names, numbers, brackets, hashes."""
    file = last(out) / "state.json"
    data = file.read_bytes()
    for place in range(0, len(data), 11):
        file.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with pytest.raises(TrainingError, match=r"step-00000010 is damaged|unknown fields.*step-00000010"):
            train(OPTIONS, run(out, resume=True))
    file.write_bytes(b'{"step":' + b"[" * 100_000)
    with pytest.raises(TrainingError, match="nested too deeply"):
        train(OPTIONS, run(out, resume=True))


def test_only_damaged_checkpoint_says_how_to_start_again(out):
    shutil.rmtree(out / "checkpoints" / "step-00000008")
    (last(out) / "ema.safetensors").unlink()
    with pytest.raises(
        TrainingError, match=r"damaged: ema\.safetensors cannot be read: No such .*--overwrite$"
    ):
        train(OPTIONS, run(out, resume=True))
    assert train(OPTIONS, run(out, overwrite=True)).steps == 12


def as_older(out, **changes):
    """Take the hashes off the last checkpoint, as 0.1.0 wrote it, and change entries of its state."""
    file = last(out) / "state.json"
    values = json.loads(file.read_text())
    del values["sha256"]
    file.write_text(json.dumps(values | changes))


@pytest.mark.parametrize("name", ["model", "optimizer", "ema"])
def test_tensors_of_another_network_do_not_fit_an_older_checkpoint(name, out):
    file = last(out) / f"{name}.safetensors"
    save_file({key: value.repeat(2, *(1,) * (value.ndim - 1)) if value.ndim else value
               for key, value in load_file(file).items()}, file)  # fmt: skip
    as_older(out)
    with pytest.raises(TrainingError, match="step-00000010 does not fit"):
        train(OPTIONS, run(out, resume=True))


POSITION = {"drawn": 20, "places": [[0, 3]]}


@pytest.mark.parametrize(
    "changes",
    [
        {"step": -1},
        {"begun": -5},
        {"step": 13},
        {"positions": [[{"drawn": 20, "places": [[0]]}]]},
        {"positions": [[{"drawn": 20, "places": [[0, 3], [0, 3]]}]]},
        {"positions": [[{"drawn": 20, "places": [[0, -3]]}]]},
        {"positions": [[POSITION], [POSITION, POSITION]]},
    ],
    ids=str,
)
def test_impossible_state_of_an_older_checkpoint_is_refused(changes, out):
    as_older(out, **changes)
    with pytest.raises(TrainingError, match="checkpoint"):
        train(OPTIONS, run(out, resume=True))


@pytest.mark.parametrize(
    ("workers", "positions", "remedy"),
    [(2, [[POSITION]], "has 1 loader worker; continue with --workers 1"),
     (0, [[POSITION], [POSITION]], "with --num_processes 2; continue with the same number")],
)  # fmt: skip
def test_other_numbers_of_workers_and_processes_are_refused(workers, positions, remedy, out):
    as_older(out, positions=positions)
    with pytest.raises(TrainingError, match=remedy):
        train(OPTIONS, run(out, resume=True, workers=workers))


# --- logs -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cut", [b"step,loss", b"{head}", b"{head}\n", b"{head}\n1", b"{rows}99,0.1", b"{rows}\0\0\0\0", b""]
)
def test_log_that_a_kill_cut_short_is_repaired(cut, out, undisturbed):
    log = out / "log.csv"
    rows = log.read_bytes()
    head = rows.partition(b"\n")[0]
    log.write_bytes(cut.replace(b"{head}", head).replace(b"{rows}", rows))
    assert ends_with(out) == undisturbed
    steps = [int(row["step"]) for row in csv.DictReader(log.open())]
    assert steps == ([10, 12] if b"{rows}" in cut else [12])


def test_rows_after_the_checkpoint_are_written_anew(out):
    (out / "log.csv").open("a").write("11,1,1,1,1,1\n")
    ends_with(out)
    assert [int(row["step"]) for row in csv.DictReader((out / "log.csv").open())] == [10, 12]


@pytest.mark.parametrize(
    "line",
    ["10,x,1,1,1,1", "10,1", "10,1,1,1,1,1,1", "ten,1,1,1,1,1", "-1,1,1,1,1,1", "", "\udcff,1,1,1,1,1"],
)
def test_malformed_log_is_named_before_the_training_starts(line, out):
    (out / "log.csv").open("ab").write(line.encode(errors="surrogateescape") + b"\n")
    done = []
    with pytest.raises(TrainingError, match=r"log\.csv, line 3, .*remove the line"):
        train(OPTIONS, run(out, resume=True, progress=lambda *each: done.append(each)))
    assert not done


def test_network_is_written_before_its_curve_is_drawn(out, monkeypatch, undisturbed):
    def fail(*_):
        raise OSError("no font")

    monkeypatch.setattr("zoo.training.training_log.draw_curve", fail)
    with pytest.raises(OutputError):
        train(OPTIONS, run(out, resume=True))
    assert digest(out) == undisturbed


# --- folders --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["resume", "overwrite"])
def test_folder_of_a_running_training_is_refused(mode, out):
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    link = out.parent / "link"
    link.symlink_to(out)
    with locked(out, "training"):
        for place in (out, link):
            with pytest.raises(OutputError, match="another training is working on"):
                train(OPTIONS, run(place, **{mode: True}))
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_overwrite_replaces_nothing_but_trainings(tmp_path):
    mine = tmp_path / "mine" / "samples" / "a.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(
            OutputError, match=r"holds something other than a training run; give another --out$"
        ):
            train(OPTIONS, run(tmp_path / "mine", overwrite=overwrite))
    assert mine.read_text() == "mine"


def test_data_inside_the_output_is_never_removed(out):
    for name in ("weights", "."):
        shutil.copytree(DATA.folder, out / name, dirs_exist_ok=True)
        inside = SourceSpec(f"coco:{out / name}:tiny")
        for more in ({"data": (inside,)}, {"validation": (inside,)}):
            with pytest.raises(OutputError, match=rf"the data {re.escape(str(out))}.* is in"):
                train(
                    OPTIONS, TrainRun(**{"data": (DATA,), "out": out, "cpu": True, "overwrite": True} | more)
                )
        assert (out / name / "tiny").is_dir()
