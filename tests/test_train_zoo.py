"""scripts/train_zoo.py: what it trains, what it compares, and what it writes into the registry."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from click.testing import CliRunner

import zoo
from zoo.store.registry import REGISTRY, SHIPPED, read_registry
from zoo.training.request import TrainRequest

ROOT = Path(__file__).parents[1]
MOST = 16 << 20


@pytest.fixture(scope="module")
def script() -> ModuleType:
    sys.path.insert(0, str(ROOT / "scripts"))
    import train_zoo

    return train_zoo


def test_every_shipped_network_has_a_plan_for_its_shape_and_is_small(script: ModuleType) -> None:
    for name in zoo.names():
        plan = script.PLANS[name]
        words = script.words(plan, name, seed=0, steps=None)
        settings = tuple(word.removeprefix("--set=") for word in words if word.startswith("--set="))
        options = TrainRequest(plan.kind, preset=plan.preset, settings=settings).options()
        assert options.model == zoo.info(name).config, name
        assert (SHIPPED / name / "model.safetensors").stat().st_size < MOST


def test_a_second_call_goes_on_and_a_finished_training_says_so(script: ModuleType, tmp_path: Path) -> None:
    out = tmp_path / "focus-set-7"
    assert script.going_on(out) == []
    out.mkdir()
    (out / "log.csv").write_text("step\n")
    assert script.going_on(out) == ["--overwrite"]  # killed before its first checkpoint
    (out / "checkpoints" / "step-00000500").mkdir(parents=True)
    assert script.going_on(out) == ["--resume"]
    (out / "model.safetensors").write_bytes(b"")
    words = ["train", "focus-set", "--coco", str(tmp_path), "--runs", str(tmp_path), "--seed", "7"]
    told = CliRunner().invoke(script.main, words)
    assert (told.exit_code, told.output) == (0, f"the training in {out} is finished\n")


def test_a_new_name_gets_a_row_and_a_known_one_new_hashes(script: ModuleType, tmp_path: Path) -> None:
    text = REGISTRY.read_text("utf-8")
    for number, summary in enumerate(("decides", "decides better")):
        text = script.with_hashes(script.with_row(text, "new", summary), "new", {"config.json": str(number)})
        path = tmp_path / f"{number}.toml"
        path.write_text(text, "utf-8")
        models = dict(read_registry(path))
        new = models.pop("new")
        assert (new.summary, new.files, new.commit) == (summary, {"config.json": str(number)}, None)
        assert models == read_registry(REGISTRY)


def test_the_best_is_first_and_the_others_say_how_far_behind_and_how_sure(script: ModuleType) -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 5, (2, 50))  # pictures differ much more than networks
    scores = {
        name: np.stack([noise + psnr, np.full((2, 50), 0.9)], -1) for name, psnr in (("a", 40.0), ("b", 41.5))
    }
    head, *lines = script.table(scores, ["clean", "stacks"])
    assert head.split() == ["clean", "stacks", "mean", "behind"]
    assert [line.split()[0] for line in lines] == ["b", "a"]
    assert lines[1].endswith("1.50 ± 0.00 dB")
