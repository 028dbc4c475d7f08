import csv
import json
import math
import os
import re
import shutil
import signal
import socket
import tarfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import zoo
from mfsynth.building.run import Run, build
from mfsynth.errors import OutputError, SourceError
from mfsynth.options import BuildOptions, preset_options
from tests.zoo.training.conftest import DATA, TINY, command, digest, interrupted_at, run, wait_for
from zoo.errors import ConfigError, TrainingError
from zoo.store.results import Results
from zoo.training import loop
from zoo.training.loop import train
from zoo.training.losses import DECISION
from zoo.training.presets import preset
from zoo.training.run import TrainRun
from zoo.training.sources import SourceSpec, open_source
from zoo.training.steps import learning_rate
from zoo.training.validation import validate, validation_crops


def options(kind="hf-seg", **settings):
    return preset(kind, "fast").override(TINY | {name: str(value) for name, value in settings.items()})


@pytest.mark.parametrize("kind", ["hf-seg", "hf-reg", "noisy-hf-reg"])
def test_training_lowers_the_loss_and_leaves_a_whole_folder(kind, demo, tmp_path):
    settings = {"steps": 60, "validate_every": 30, "lr": 3e-3, "model.residual": "false"}
    chosen, out = options(kind, **settings), tmp_path / "out"
    report = train(chosen, run(out, demo))
    assert {path.name for path in out.iterdir()} == {
        "config.json", "curve.png", "evaluation.json", "events", "log.csv", "model.safetensors", "samples",
        "training.json", "validation.csv",
    }  # fmt: skip
    rows = list(csv.DictReader((out / "log.csv").open()))
    assert [int(row["step"]) for row in rows] == [10, 20, 30, 40, 50, 60]
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    scores = list(csv.DictReader((out / "validation.csv").open()))
    assert [(row["step"], row["kind"]) for row in scores] == [
        (step, name) for step in ("30", "60") for name in ("clean", "captured")
    ]
    told = json.loads((out / "training.json").read_text())
    assert told["validation"]["clean"]["psnr"] == pytest.approx(report.scores["clean"].psnr)
    measured = Results.from_json((out / "evaluation.json").read_bytes()).results
    assert [(each.kind, each.metrics) for each in measured] == [*told["validation"].items()]
    assert told["data"][0]["images"] > 20
    assert told["options"] == chosen.to_json()
    assert str(demo.folder) not in (out / "training.json").read_text()
    with Image.open(out / "curve.png") as curve:
        assert curve.size[0] > 800
    events = EventAccumulator(str(out / "events"))
    events.Reload()
    assert [event.step for event in events.Scalars("training/loss")] == [10, 20, 30, 40, 50, 60]
    assert len(events.Images("clean/samples")) == 2
    model = zoo.load(out)
    assert model.config == chosen.model
    weights = load_file(out / "model.safetensors")
    assert all(torch.equal(weights[name], value) for name, value in model.state_dict().items())


def test_seed_reproduces_a_run_and_another_gives_another(tmp_path):
    for name, seed in (("one", 7), ("again", 7), ("other", 8)):
        train(options(steps=8, seed=seed), run(tmp_path / name))
    assert digest(tmp_path / "one") == digest(tmp_path / "again") != digest(tmp_path / "other")


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.zoo.training.conftest import run
from tests.zoo.training.test_loop import options
from zoo.training.loop import train

def kill(done, _total, _loss):
    if done == 20:
        os.kill(os.getpid(), signal.SIGKILL)

out, settings = Path(sys.argv[1]), dict(word.split("=") for word in sys.argv[2:])
train(options(**settings), run(out, workers=1, progress=kill))
"""
ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    "scattered",
    [{}, pytest.param({"windows": "4", "pairs": "5"}, marks=pytest.mark.slow)],
    ids=["plain", "windows"],
)
def test_killed_training_goes_on_to_the_same_weights(scattered, tmp_path, warm, cli):
    """With one worker as with none; with windows, some crops are of scenes that were read before the kill."""
    settings = {"steps": "26", "checkpoint_every": "7", "ema": "0.9"} | scattered
    words = [f"{name}={value}" for name, value in settings.items()]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    train(options(**settings), run(whole))
    env = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    done = warm.run(code=KILLED, args=(str(killed), *words), env=env, cwd=tmp_path)
    assert done.returncode == -signal.SIGKILL, done.stderr
    saved = [path.name for path in sorted((killed / "checkpoints").glob("step-*"))]
    assert saved == ["step-00000007", "step-00000014"]
    assert not (killed / "model.safetensors").exists()
    resumed = cli(*command(DATA, killed, "--workers", "0", "--resume", **settings))
    assert resumed.returncode == 0, resumed.stderr
    assert digest(killed) == digest(whole)
    logs = [
        [(row["step"], row["loss"]) for row in csv.DictReader((folder / "log.csv").open())]
        for folder in (whole, killed)
    ]
    assert [step for step, _ in logs[0]] == [step for step, _ in logs[1]] == ["10", "20", "26"]
    assert logs[0][-1] == logs[1][-1]


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_signal_to_all_processes_saves_and_leaves_cleanly(number, started, tmp_path):
    words = command(DATA, tmp_path / "out", "--workers", "1", steps="100000", checkpoint_every="5")
    with started(*words) as training:
        wait_for(tmp_path / "out" / "checkpoints" / "step-00000010", training)
        os.killpg(training.pid, number)
        done = training.finished()
    assert done.returncode == 130
    assert "--resume" in done.stdout
    assert "Traceback" not in done.stderr, done.stderr
    saved = sorted((tmp_path / "out" / "checkpoints").glob("step-*"))
    steps = int(saved[-1].name.removeprefix("step-"))
    assert f"stopped after {steps:,} of 100,000 steps" in done.stdout
    assert len(saved) == 2
    assert (tmp_path / "out" / "curve.png").exists()


def test_loss_that_is_no_number_stops_and_names_the_checkpoint(tmp_path):
    chosen = options("hf-reg", steps=40)
    report = train(chosen, run(tmp_path / "out", progress=interrupted_at(10)))
    assert (report.steps, report.stopped) == (10, True)
    weights = tmp_path / "out" / "checkpoints" / "step-00000010" / "model.safetensors"
    save_file({name: value * float("nan") for name, value in load_file(weights).items()}, weights)
    state = json.loads((weights.parent / "state.json").read_text())
    del state["sha256"]  # as 0.1.0 wrote it
    (weights.parent / "state.json").write_text(json.dumps(state))
    with pytest.raises(TrainingError, match=r"loss of step 11 is nan.*step-00000010.*lower lr"):
        train(chosen, run(tmp_path / "out", resume=True))
    assert not (tmp_path / "out" / "model.safetensors").exists()


def test_training_with_other_options_or_a_broken_checkpoint_does_not_go_on(tmp_path):
    train(options(steps=40), run(tmp_path / "out", progress=interrupted_at(10)))
    with pytest.raises(TrainingError, match="other options or other data"):
        train(options(steps=41), run(tmp_path / "out", resume=True))
    state = tmp_path / "out" / "checkpoints" / "step-00000010" / "state.json"
    state.write_text(state.read_text()[:-20])
    with pytest.raises(TrainingError, match="step-00000010 is damaged"):
        train(options(steps=40), run(tmp_path / "out", resume=True))


def test_averaged_weights_are_the_mean_by_hand(tmp_path):
    """After two steps at decay d: d w_1 + (1 - d) w_2."""
    for steps in (1, 2):
        train(options(steps=steps, schedule="constant"), run(tmp_path / f"plain{steps}"))
    train(options(steps=2, schedule="constant", ema=0.75), run(tmp_path / "ema"))
    one, two, ema = (load_file(tmp_path / name / "model.safetensors") for name in ("plain1", "plain2", "ema"))
    for name, value in ema.items():
        torch.testing.assert_close(value, 0.75 * one[name] + 0.25 * two[name])


def test_accumulated_minibatches_are_one_large_one(tmp_path):
    """Two minibatches of two pairs give the gradient of one of four."""
    train(options(steps=3, pairs=4), run(tmp_path / "large"))
    train(options(steps=3, pairs=2, accumulate=2), run(tmp_path / "small"))
    large, small = (load_file(tmp_path / name / "model.safetensors") for name in ("large", "small"))
    for name, value in large.items():
        torch.testing.assert_close(small[name], value, atol=1e-4, rtol=1e-3)


def test_epochs_count_passes_and_keep_weights(tmp_path):
    paper = replace(options(keep_every=2), steps=0, epochs=5)
    report = train(paper, run(tmp_path / "out"))
    assert report.steps == math.ceil(5 * 5 / 2)  # five images in pairs of two, one is held out
    kept = sorted(path.name for path in (tmp_path / "out" / "weights").iterdir())
    assert kept == ["epoch-00002", "epoch-00004"]
    assert zoo.load(tmp_path / "out" / "weights" / kept[0]).config == paper.model


def test_folders_in_use_are_left_alone(tmp_path):
    train(options(steps=2), run(tmp_path / "out"))
    with pytest.raises(OutputError, match=r"holds a training run.*--overwrite"):
        train(options(steps=2), run(tmp_path / "out"))
    with pytest.raises(TrainingError, match="finished"):
        train(options(steps=2), run(tmp_path / "out", resume=True))
    with pytest.raises(TrainingError, match="no checkpoint"):
        train(options(steps=2), run(tmp_path / "none", resume=True))
    train(options(steps=3), run(tmp_path / "out", overwrite=True))


def test_nothing_of_the_users_is_removed_and_bad_data_costs_nothing(tmp_path):
    mine = tmp_path / "mine" / "samples" / "a.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(OutputError, match="holds something other than a training run"):
        train(options(steps=2), run(tmp_path / "mine"))
    assert mine.exists()
    train(options(steps=2), run(tmp_path / "out"))
    before = digest(tmp_path / "out")
    wrong = run(tmp_path / "out", SourceSpec(f"{DATA.location}y"), overwrite=True)
    with pytest.raises(SourceError):
        train(options(steps=2), wrong)
    assert digest(tmp_path / "out") == before


@pytest.mark.parametrize("place", ["file/run", "closed/run"])
def test_folder_that_cannot_be_written_is_told(place, tmp_path):
    (tmp_path / "file").write_text("a file")
    (tmp_path / "closed").symlink_to("/proc/nowhere")
    with pytest.raises(OutputError, match="cannot write"):
        train(options(steps=2), run(tmp_path / place))


def test_explicit_validation_is_whole_and_nothing_is_held_out(demo, tmp_path):
    train(options(steps=2), run(tmp_path / "out", demo, validation=(demo,)))
    told = json.loads((tmp_path / "out" / "training.json").read_text())
    assert told["data"][0]["images"] >= 31  # of 32 drawn scenes, all that can be used
    with Image.open(tmp_path / "out" / "samples" / "clean-00000002.png") as samples:
        width, height = samples.size  # four rows of six pictures, with labels
        assert 6 * 192 < width < 6 * 192 + 60
        assert 4 * 192 < height < 4 * 192 + 100


@pytest.mark.parametrize("kind", ["hf-seg", "hf-reg"])
def test_odd_network_is_trained_by_the_same_command(kind, tmp_path):
    chosen = options(kind, steps=4, **{"model.architecture": "odd"})
    assert chosen.model.out_channels == (1 if kind == "hf-seg" else 3)
    report = train(chosen, run(tmp_path / "out"))
    assert report.scores["clean"].commutativity == 0
    assert zoo.load(tmp_path / "out").config.architecture == "odd"


def test_validation_is_that_of_the_network_that_is_written(demo, tmp_path):
    """In float32, even if the steps are bf16."""
    report = train(options(steps=3, precision="bf16"), run(tmp_path / "out", demo))
    held = validation_crops([open_source(demo, 0)], options())
    scores, _ = validate(zoo.load(tmp_path / "out"), held["clean"], options())
    assert scores.psnr == pytest.approx(report.scores["clean"].psnr, abs=1e-6)


@pytest.mark.parametrize(("workers", "between"), [("0", False), ("0", True), ("1", False)])
def test_broken_shard_is_named_in_one_line(workers, between, small_recipes, tmp_path, cli):
    shard = Path(shutil.copytree(small_recipes, tmp_path / "set")) / "small-000001.tar"
    with tarfile.open(shard) as tar:
        samples = [each.offset for each in tar if each.name.endswith(".json")]
    shard.write_bytes(shard.read_bytes()[: samples[3] if between else samples[3] + 1_000])
    data = SourceSpec(str(tmp_path / "set"))
    more = ("--validation", DATA.location, "--workers", workers)
    done = cli(*command(data, tmp_path / "out", *more, steps="100"))
    assert done.returncode == 1
    assert "small-000001.tar" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("kind", "store", "frames"), [("hf-seg", "recipe", 2), ("hf-reg", "pairs", 5)])
def test_realistic_shards_of_either_store_are_trained_on(kind, store, frames, small_coco, tmp_path):
    settings = preset_options("realistic") | {"store": store, "frames": frames, "min_sharpness": 0.0}
    build(BuildOptions("small", **settings), Run(small_coco, tmp_path / "set", workers=1))
    data = (SourceSpec(str(tmp_path / "set")),)
    chosen = options(kind, steps=3, crop=16)
    report = train(chosen, TrainRun(data, tmp_path / "out", data, workers=0, cpu=True))
    assert report.scores["clean"] != report.scores["captured"]
    assert report.scores["clean"].psnr > report.scores["captured"].psnr
    assert zoo.load(tmp_path / "out").config == chosen.model


def test_options_of_their_own_are_settings_and_are_in_the_command(cli, tmp_path):
    words = ["--data", f"{DATA.location}:realistic", "--target", "focus", "--as-taken", "--steps", "1"]
    done = cli("train", "hf-seg", *words, "--show")
    shown = json.loads(done.stdout)
    assert (shown["target"], shown["aligned"], shown["steps"]) == ("focus", False, 1)
    tiny = [f"--set={name}={value}" for name, value in TINY.items()]
    done = cli("train", "hf-seg", *words, *tiny, "--out", tmp_path / "out", "--cpu", "--workers", "0")
    assert done.returncode == 0, done.stderr
    told = json.loads((tmp_path / "out" / "training.json").read_text())
    assert "--data coco:DIR:tiny:realistic " in told["command"]
    assert "--steps 1 --target focus --as-taken --out hf-seg" in told["command"]
    assert told["options"]["target"] == "focus"
    assert told["data"][0]["settings"]["boundary"] == "spread"


def test_waiting_is_the_share_of_the_steps_and_not_of_validations(tmp_path, monkeypatch):
    """By a clock on which a batch takes one second, the rest of a step three, and a validation a hundred."""
    clock = [0.0]

    def taking(seconds, call):
        def timed(*args):
            clock[0] += seconds
            return call(*args)

        return timed

    monkeypatch.setattr(loop, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    validate = loop._Training.validate
    monkeypatch.setattr(loop.Loader, "next", taking(1, loop.Loader.next))
    monkeypatch.setattr(loop, "loss_of", taking(3, loop.loss_of))
    last = taking(100, lambda training, step: step == 20 and validate(training, step))
    monkeypatch.setattr(loop._Training, "validate", last)
    report = train(options(steps=20, validate_every=5), run(tmp_path / "out"))
    assert report.waiting == 0.25
    rows = list(csv.DictReader((tmp_path / "out" / "log.csv").open()))
    assert [float(row["waiting"]) for row in rows] == [0.25, 0.25]
    assert "waiting for data in 25% of the steps' time" in report.lines()[0]


def test_learning_rate_rises_and_falls():
    fast = options(lr=1e-3, warmup=10)
    rates = [learning_rate(fast, step, 110) for step in range(110)]
    assert rates[0] == pytest.approx(1e-4)
    assert rates[9] == pytest.approx(1e-3)
    assert rates[60] == pytest.approx(0.5e-3)
    assert rates[-1] < 1e-6
    assert learning_rate(preset("hf-seg", "paper"), 0, 100) == 1e-5


def test_show_prints_every_number(cli):
    done = cli("train", "hf-reg", "--preset", "paper", "--set", "model.width=32", "--show")
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert (shown["lr"], shown["pairs"], shown["crop"], shown["epochs"]) == (1e-5, 3, 400, 1000)
    assert shown["model"]["width"] == 32
    assert shown["loss"] == "nps6"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--set", "learning_rate=1"], "learning_rate.*known"),
        (["--set", "lr=fast"], "lr is 'fast'"),
        (["--set", "lr"], "NAME=VALUE"),
        (["--set", "model.width=0"], "width is 0"),
        (["--set", "loss=l1"], "cross-entropy"),
        (["--set", "target=plane"], "target is 'plane', it must be nearest or focus"),
        (["--set", "aligned=perhaps"], "aligned is 'perhaps'"),
        ([], "--data and --out"),
        (["--data", "coco:nowhere:val2017", "--out", "x"], "nowhere"),
        (["--data", "nowhere", "--out", "x"], "nowhere"),
    ],
)
def test_mistakes_are_told_in_one_line(more, message, cli, tmp_path):
    done = cli("train", "hf-seg", *more, cwd=tmp_path)
    assert done.returncode in (1, 2)
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert re.search(message, done.stderr)


TWO_PROCESSES = """
import hashlib, os, sys
from pathlib import Path
import torch
from tests.zoo.training.conftest import SourceSpec, run
from tests.zoo.training.test_loop import options
from zoo.training import loop

other = os.fork()
os.environ["RANK"] = os.environ["LOCAL_RANK"] = "0" if other else "1"
seen = []
plain = loop.loss_of
def noting(model, batch, *rest):
    seen.extend(hashlib.sha256(gt.numpy().tobytes()).hexdigest() for gt in batch.gt)
    return plain(model, batch, *rest)
loop.loss_of = noting
finish = loop._Training.report
def dumping(self, stopped):
    rank = self.accelerator.process_index
    weights = {name: value.clone() for name, value in self.plain.state_dict().items()}
    torch.save((weights, seen), f"rank{rank}.pt")
    return finish(self, stopped)
loop._Training.report = dumping
settings = {"model.architecture": sys.argv[2]}
loop.train(options(steps=6, **settings), run(Path("out"), SourceSpec(sys.argv[1])))
if other:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(other, 0)[1]))
"""


@pytest.mark.parametrize("architecture", ["unet", pytest.param("odd", marks=pytest.mark.slow)])
def test_two_processes_see_disjoint_samples_and_end_with_the_same_weights(architecture, demo, warm, tmp_path):
    """With the environment that torchrun would give each."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1]), "WORLD_SIZE": "2"}
    env = os.environ | place | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    done = warm.run(code=TWO_PROCESSES, args=(demo.location, architecture), env=env, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (one, seen), (other, seen_there) = (torch.load(tmp_path / f"rank{rank}.pt") for rank in range(2))
    for name, value in one.items():
        assert torch.equal(value, other[name])
    assert len(seen) == len(seen_there) == 12
    assert not set(seen) & set(seen_there)
    written = load_file(tmp_path / "out" / "model.safetensors")
    assert all(torch.equal(written[name], value) for name, value in one.items())


SET = {"model.architecture": "focus-set", "model.width": "6", "frames": "2,4", "unequal": "1"}


def test_a_network_for_sets_learns_from_stacks_of_several_sizes(demo, tmp_path):
    chosen = options(steps=60, validate_every=60, lr=3e-3, **SET)
    report = train(chosen, run(tmp_path / "out", SourceSpec(f"{demo.location}:realistic")))
    rows = list(csv.DictReader((tmp_path / "out" / "log.csv").open()))
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    assert set(report.scores) == {"clean", "captured", "stacks"}
    assert report.scores["clean"].commutativity == 0
    assert (tmp_path / "out" / "samples" / "stacks-00000060.png").is_file()


@pytest.mark.slow  # six trainings
@pytest.mark.parametrize("network", [{}, SET], ids=["pairs", "sets"])
def test_networks_that_decide_train_with_every_loss(network, tmp_path):
    """The first step sees the same data with the same weights, so that only the loss differs."""
    first = {}
    for loss in DECISION:
        train(options(**{"steps": 1, "unequal": 1, "loss": loss} | network), run(tmp_path / loss))
        (row,) = csv.DictReader((tmp_path / loss / "log.csv").open())
        first[loss] = float(row["loss"])
    assert first["cross-entropy+l1"] > first["cross-entropy"]
    assert len({*first.values()}) == len(DECISION)


def test_only_networks_for_sets_take_more_than_two_frames():
    with pytest.raises(ConfigError, match=r"frames is \(2, 6\).*2,2 for this network"):
        options(frames="2,6")
    with pytest.raises(ConfigError, match=r"unequal is 1\.0.*0 for reg"):
        options("hf-reg", unequal=1)


def test_training_can_start_from_another_network(tmp_path):
    """Nothing is learned at a rate of almost 0: the weights stay those of the start."""
    first = run(tmp_path / "first")
    train(options(steps=10), first)
    started = options(steps=2, lr=1e-12, weight_decay=0, start=tmp_path / "first")
    said: list[str] = []
    train(started, run(tmp_path / "second", say=said.append))
    before, after = (load_file(tmp_path / name / "model.safetensors") for name in ("first", "second"))
    for name, weights in before.items():
        assert torch.allclose(after[name], weights, atol=1e-9)
    told = json.loads((tmp_path / "second" / "training.json").read_text())
    assert told["begun"]["steps"] == 10
    assert told["begun"]["sha256"] == digest(tmp_path / "first")
    assert said == [f"beginning with the weights of {tmp_path / 'first'}, SHA-256 {told['begun']['sha256']}"]
    assert told["options"]["start"] == "first"


def test_training_starts_only_from_a_network_of_its_shape(tmp_path):
    train(options(steps=2), run(tmp_path / "first"))
    wider = options(steps=2, start=tmp_path / "first", **{"model.width": "8", "model.padding": "valid"})
    with pytest.raises(ConfigError) as told:
        train(wider, run(tmp_path / "second"))
    assert told.value.message.endswith(
        "first, a network of another shape: width is 4 there and 8 here, padding is same there and valid here"
    )
    assert told.value.hint == "set model.width=4 and model.padding=same, or start from another network"
    with pytest.raises(ConfigError, match=r"first, a network for seg; start from one for reg"):
        train(options("hf-reg", steps=2, start=tmp_path / "first"), run(tmp_path / "second"))
    (tmp_path / "first" / "training.json").write_text("[]")
    with pytest.raises(ConfigError, match=r"training.json of .*first is malformed.*start from another"):
        train(options(steps=2, start=tmp_path / "first"), run(tmp_path / "third"))
