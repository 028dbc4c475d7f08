"""What a push publishes, and what a pull leaves: only bytes that were checked, and text that stays text."""

import json
import os
import re
import shutil
import signal
from pathlib import Path

import pytest
import torch
from conftest import tree
from safetensors.torch import load_file, save_file

import zoo
from mfsynth.errors import OptionsError, OutputError
from mfsynth.locks import locked
from zoo.errors import DamagedError, ZooError
from zoo.networks import Config, Network
from zoo.publishing.cards import model_card
from zoo.publishing.push import contents, push
from zoo.store import find
from zoo.store.files import FILES, WEIGHTS
from zoo.store.find import pull_to
from zoo.store.folder import load_folder, save_folder
from zoo.store.results import Result, results
from zoo.training.presets import preset

FORMAT_1 = Path(__file__).parents[2] / "formats" / "1" / "network"


@pytest.fixture
def folder(tmp_path):
    return Path(shutil.copytree(FORMAT_1, tmp_path / "net"))


def change(path, **entries):
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


def test_a_card_says_how_the_frames_were_made_that_a_network_learned_from(folder):
    model = load_folder(folder)
    assert "trained on Gaussian blur and hard edges" in str(model_card(model))
    training = json.loads(model.documents["training.json"])
    training["data"][1]["settings"] = {"kernel": "polygon", "boundary": "spread"}
    more = {"psnr": 31.0, "psnr_rim": 25.125}
    model.documents = {
        "training.json": json.dumps(training).encode(),
        "evaluation.json": results(Result("val2017, optics, 6 frames", "x", "y", 25, more, "")).to_json(),
    }
    card = str(model_card(model))
    assert "trained on Gaussian blur" not in card
    assert card.count("as\nlenses and cameras make them") + card.count("as lenses and cameras make them") == 2
    assert "25 samples: val2017, optics, 6 frames." in card
    assert "| PSNR of the fused picture where no frame shows the truth, dB | 25.12 |" in card


def test_a_card_tells_the_whole_history_of_the_weights(folder):
    model = load_folder(folder)
    training = json.loads(model.documents["training.json"])
    assert "In all" not in str(model_card(model))
    first = {"sha256": "ab" * 32, "command": "mfsynth train one", "steps": 5000, "seconds": 3600}
    training |= {"begun": {**first, "command": "mfsynth train two", "begun": first}, "seconds": 7200}
    model.documents = {"training.json": json.dumps(training).encode()}
    card = str(model_card(model))
    assert card.index("mfsynth train hf-seg") < card.index("train two") < card.index("train one")
    assert f"In all, {10_000 + training['steps']} steps in 4 hours" in card
    training |= {"begun": {"sha256": "ab" * 32}, "options": training["options"] | {"steps": 99}}
    model.documents = {"training.json": json.dumps(training).encode()}
    card = str(model_card(model))
    assert f"SHA-256 `{'ab' * 32}`, of a training that is not recorded" in card
    assert f"Trained for the first {training['steps']} of 99 steps by" in card
    (folder / "training.json").write_bytes(model.documents["training.json"])
    lines = zoo.info(folder).lines()
    assert f"  begun from  weights whose training is not recorded; SHA-256 {'ab' * 32}" in lines
    training["begun"] = {"steps": "many"}
    model.documents = {"training.json": json.dumps(training).encode()}
    with pytest.raises(ZooError, match="malformed"):
        model_card(model)


def test_a_card_of_a_network_for_sets_says_what_it_takes_and_what_it_learned_from(tmp_path):
    model = Network(preset("focus-set").model)
    training = json.loads((FORMAT_1 / "training.json").read_text())
    model.documents = {
        "training.json": json.dumps(training | {"options": preset("focus-set").to_json()}).encode()
    }
    card = str(model_card(model))
    assert card.split("---\n", 2)[2].lstrip().startswith("# Focus-Set\n")
    assert "All frames, however many, are scored in one pass" in card
    assert "A sample has 2 to 6 frames" in card
    assert "exposure of its own, up to 1.2 stops" in card
    assert "steps of 16 sets, crops" in card
    assert "averaged over the steps (decay 0.999)" in card
    assert "reversals" not in card


# --- push -----------------------------------------------------------------------------------------------


def test_the_bytes_that_were_checked_are_published(folder, monkeypatch):
    """Even if somebody swaps the files meanwhile."""
    import zoo.publishing.push as module

    expected = {name: (folder / name).read_bytes() for name in FILES}
    check = module.check

    def swap_and_check(example):
        save_folder(folder, Network(Config(task="seg", width=8, depth=1)))
        check(example)

    monkeypatch.setattr(module, "check", swap_and_check)
    files = contents(folder, "ann/net", "mit", {})
    assert {name: files[name] for name in FILES} == expected


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("log.csv", b"-----BEGIN OPENSSH PRIVATE KEY-----\n", "log.csv is not what a training run writes"),
        ("validation.csv", b"", "validation.csv is not what a training run writes"),
        ("curve.png", b"<svg onload=alert(1)>", "curve.png is not what a training run writes"),
        ("training.json", b"{", "training.json is not JSON"),
        ("evaluation.json", b'{"format": 1, "results": [{}]}', "evaluation.json are malformed"),
    ],
)
def test_swapped_files_are_not_published(name, data, message, folder):
    (folder / name).write_bytes(data)
    with pytest.raises(ZooError, match=message):
        push(folder, "ann/net", license="mit", dry_run=True)


def test_training_of_another_network_is_not_published(folder):
    weights = Network(Config(task="seg", width=4, depth=1)).state_dict()
    save_file(weights, folder / "model.safetensors")
    change(folder / "config.json", width=4)
    assert zoo.load(folder).config.width == 4
    with pytest.raises(ZooError, match=r"training\.json describes another network"):
        push(folder, "ann/net", license="mit", dry_run=True)


def test_shipped_weights_are_published_only_as_the_registry_lists_them(tmp_path, monkeypatch):
    """Between the check of their hashes and the push."""
    shipped = find.find("hf-seg")
    copy = Path(shutil.copytree(shipped.folder, tmp_path / "hf-seg"))
    file = copy / "model.safetensors"
    save_file({name: value + 1 for name, value in load_file(file).items()}, file)
    with pytest.raises(DamagedError, match="SHA-256 differs"):
        contents(copy, "ann/net", "mit", shipped.hashes)


HOSTILE = (
    "x\n\n# Owned\n<script>alert(1)</script> [click](http://evil) ![i](http://i.png) `a` |b\x1b[2J\r```\n"
)


def test_foreign_text_stays_text_in_a_card(folder):
    model = load_folder(folder)
    training = json.loads(model.documents["training.json"])
    training["command"] = "```\n# Owned\n" + HOSTILE
    training["device"] = HOSTILE
    training["options"] |= dict.fromkeys(("optimizer", "schedule", "loss", "precision"), HOSTILE)
    training["data"][0] |= {"source": HOSTILE, "ids": HOSTILE}
    model.documents = {
        "training.json": json.dumps(training).encode(),
        "evaluation.json": results(Result(HOSTILE, HOSTILE, HOSTILE, 3, {HOSTILE: 1.0}, HOSTILE)).to_json(),
    }
    text = str(model_card(model, repository="ann/net"))
    card = text.split("---\n", 2)[2]
    headings = [line for line in card.splitlines() if line.startswith("#") and "pip install" not in line]
    assert headings == [
        "# HF-Seg",
        *(
            f"## {each}"
            for each in ["Use", "The network", "Training", "Measured", "Limits", "License", "Citation"]
        ),
    ]
    assert "\x1b" not in text
    assert card.count("\n```") == 6
    outside = "".join(re.split(r"\n```.*?\n```", card, flags=re.DOTALL))
    for opening in ("<script", "[click](", "![i]("):
        assert opening not in outside
    rows = [line for line in card.splitlines() if line.startswith("| x")]
    assert len(rows) == 2
    assert all(row.replace("\\|", "").count("|") in (3, 5) for row in rows)
    honest = str(model_card(load_folder(FORMAT_1), repository="ann/net"))
    assert "mfsynth train hf-seg --data coco:DIR:tiny --data pairs" in honest
    assert "| coco:tiny | 5 images | 1.0 | options `473affeb8e7eaec2`, ids `c2caff9ab1af5b12` |" in honest


# --- pull -----------------------------------------------------------------------------------------------

KILLED = """
import os, signal, sys
from pathlib import Path
import zoo.store.files as files
from zoo.store.find import pull_to

calls, last = 0, int(sys.argv[2])

def dying(work):
    def call(*args):
        global calls
        calls += 1
        if calls == last:
            os.kill(os.getpid(), signal.SIGKILL)
        return work(*args)
    return call

files.write, Path.replace = dying(files.write), dying(Path.replace)
pull_to(sys.argv[3], Path(sys.argv[1]))
"""


@pytest.mark.parametrize("call", [1, 2, 4, 8, 9, 11, 12])
def test_killed_pull_is_never_a_network_and_the_next_one_cleans_up(call, tmp_path, warm):
    out = tmp_path / "net"
    done = warm.run(
        code=KILLED, args=(str(out), str(call), str(FORMAT_1)), env=dict(os.environ), cwd=tmp_path
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not (out / WEIGHTS).exists()
    pull_to(str(FORMAT_1), out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == {
        name: (FORMAT_1 / name).read_bytes() for name in FILES
    }


def test_pull_that_fails_leaves_nothing(tmp_path, folder):
    (folder / "model.safetensors").unlink()
    with pytest.raises(ZooError):
        pull_to(str(folder), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_pull_replaces_nothing_of_the_users(tmp_path):
    for name in ("config.json", ".pull", "notes.txt"):
        place = tmp_path / name.strip(".")
        place.mkdir()
        (place / name).write_text("mine")
        (place / "more.txt").write_text("mine")
        before = tree(place)
        with pytest.raises(OptionsError, match="is not empty"):
            pull_to(str(FORMAT_1), place)
        assert tree(place) == before


def test_two_pulls_into_one_folder_are_refused(tmp_path):
    with locked(tmp_path / "net", "pull"), pytest.raises(OutputError, match="another pull is working on"):
        pull_to(str(FORMAT_1), tmp_path / "net")
    assert pull_to(str(FORMAT_1), tmp_path / "net").folder == str(tmp_path / "net")


def test_weights_pulled_are_the_ones_given(tmp_path):
    pull_to("hf-seg", tmp_path / "net")
    pulled, shipped = zoo.load(tmp_path / "net"), zoo.load("hf-seg")
    for name, value in shipped.state_dict().items():
        assert torch.equal(pulled.state_dict()[name], value)
