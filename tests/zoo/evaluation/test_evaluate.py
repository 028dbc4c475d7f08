"""`mfsynth evaluate`, as a user meets it: files, numbers, going on after a kill, pairs that are broken."""

import csv
import json
import os
import shutil
import signal
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import tree

from zoo.errors import PictureError
from zoo.evaluation import baselines
from zoo.evaluation.kept import Place, keep, unusable_names
from zoo.evaluation.methods import Method
from zoo.evaluation.times import square, time_methods
from zoo.fusing.fuse_frames import Fused
from zoo.metrics import psnr, score
from zoo.store.results import Results

QUICK = "gff,pyramid,average,dummy-a"


def read(path):
    return np.ascontiguousarray(cv2.imread(str(path))[..., ::-1])


def rows_of(out):
    with (out / "scores.csv").open() as file:
        return {(row["image"], row["method"]): row for row in csv.DictReader(file)}


def change(path, **entries):
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Three pairs with their truth, 72 x 64, sharp in one half each."""
    folder = tmp_path_factory.mktemp("pairs")
    for number in range(3):
        rng = np.random.default_rng(number)
        truth = cv2.GaussianBlur(rng.integers(0, 256, (64, 72, 3), np.uint8), None, 0.7)
        blurred = cv2.GaussianBlur(truth, None, 3)
        left = np.arange(72)[None, :, None] < 36
        for role, picture in {
            "A": np.where(left, truth, blurred),
            "B": np.where(left, blurred, truth),
            "GT": truth,
        }.items():
            assert cv2.imwrite(str(folder / f"p{number}_{role}.png"), picture)
    return folder


@pytest.fixture(scope="module")
def evaluated(pairs, tmp_path_factory, cli):
    out = tmp_path_factory.mktemp("results") / "out"
    done = cli("evaluate", "--methods", f"hf-seg,{QUICK}", "--data", f"pairs:{pairs}", "--out", out)
    assert done.returncode == 0, done.stderr
    return out, done


@pytest.fixture
def evaluate(cli):
    """Runs `mfsynth evaluate` with one worker, where more would only start."""

    def run(methods, data, out, *more):
        return cli("evaluate", "--methods", methods, "--data", data, "--out", out, "--workers", 1, *more)

    return run


def test_everything_that_is_promised_is_there(evaluated):
    out, done = evaluated
    names = {path.name for path in out.iterdir()}
    assert names == {
        "scores.csv", "means.csv", "table.md", "ranks.md", "boxes.png", "ranks.png", "sheet.webp",
        "index.html", "manifest.json", ".evaluation", "evaluation", "fused",
    }  # fmt: skip
    assert "15 pictures scored" in done.stdout
    assert (out / "table.md").read_text() in done.stdout


def test_the_numbers_are_those_of_the_metrics(evaluated, pairs):
    out, _ = evaluated
    rows = rows_of(out)
    assert len(rows) == 3 * 6  # five methods and the oracle
    a, b, truth = (read(pairs / f"p1_{role}.png") for role in ("A", "B", "GT"))
    fused = baselines.get("gff").fuse([a, b]).image
    assert np.array_equal(read(out / "fused" / "gff" / "p1.png"), fused)
    expected = score(a, b, fused, truth)
    assert {name: float(rows["p1", "gff"][name]) for name in expected} == expected
    dummy = rows["p1", "dummy-a"]
    assert float(dummy["psnr"]) == psnr(truth, a)
    assert float(dummy["swap_mean"]) == pytest.approx(np.square((a.astype(float) - b) / 255).mean())
    assert float(rows["p1", "hf-seg"]["swap_max"]) == 0
    assert float(rows["p1", "oracle"]["psnr"]) == 100  # one frame or the other is the truth everywhere
    assert rows["p1", "oracle"]["q_mi"] == ""


def test_the_manifest_names_command_weights_and_data_and_no_folder_of_this_machine(evaluated, pairs):
    out, _ = evaluated
    text = (out / "manifest.json").read_text()
    manifest = json.loads(text)
    assert manifest["command"].startswith(f"mfsynth evaluate --methods hf-seg,{QUICK} --data pairs:")
    assert manifest["data"]["stacks"] == 3
    network = next(method for method in manifest["methods"] if method["name"] == "hf-seg")
    assert set(network["weights"]) == {"config.json", "model.safetensors"}
    assert str(pairs) not in text
    assert str(out) not in text


def test_cards_can_quote_what_was_measured_of_a_network(evaluated):
    out, _ = evaluated
    (result,) = Results.from_json((out / "evaluation" / "hf-seg.json").read_bytes()).results
    rows = rows_of(out)
    mean = np.mean([float(rows[f"p{number}", "hf-seg"]["psnr"]) for number in range(3)])
    assert result.samples == 3
    assert result.metrics["psnr"] == pytest.approx(mean)


def test_a_second_run_fuses_nothing_and_says_the_same(evaluated, pairs, evaluate):
    out, _ = evaluated
    before = tree(out)
    again = evaluate(f"hf-seg,{QUICK}", f"pairs:{pairs}", out, "--json")
    assert again.returncode == 0
    assert json.loads(again.stdout)["kept"] == 15
    after = tree(out)
    same = [name for name in before if name.startswith(("fused", "scores", "table", "ranks", "boxes"))]
    assert {name: after[name] for name in same} == {name: before[name] for name in same}


def test_broken_pictures_of_an_earlier_run_are_made_again(evaluated, pairs, tmp_path, evaluate):
    out = tmp_path / "out"
    shutil.copytree(evaluated[0], out)
    whole = tree(out / "fused")
    (out / "fused" / "gff" / "p0.png").write_bytes((out / "fused" / "gff" / "p1.png").read_bytes())
    (out / "fused" / "average" / "p0.png").write_bytes(b"")
    (out / "fused" / "hf-seg" / "p1.decision.png").unlink()
    (out / "fused" / "pyramid" / "p2.json").write_text('{"key": "x"}')
    (out / "ranks.png").unlink()
    for left in ("noise.png", "standing.md"):
        (out / left).write_bytes(b"of an earlier run")
    change(out / "fused" / "dummy-a" / "p0.json", values={"psnr": 99.0})
    theirs = json.loads((out / "fused" / "dummy-a" / "p2.json").read_text())
    shutil.copy(out / "fused" / "dummy-a" / "p2.png", out / "fused" / "dummy-a" / "p1.png")
    change(
        out / "fused" / "dummy-a" / "p1.json",
        **{name: theirs[name] for name in ("values", "pictures", "seal")},
    )
    again = evaluate(f"hf-seg,{QUICK}", f"pairs:{pairs}", out)
    assert again.returncode == 0, again.stderr
    assert "9 of them kept from before" in again.stdout
    assert (
        "results from before had been changed, and were computed again: "
        "gff of p0, average of p0, dummy-a of p0, hf-seg of p1, dummy-a of p1, …" in again.stderr
    )
    assert (out / "scores.csv").read_bytes() == (evaluated[0] / "scores.csv").read_bytes()
    assert tree(out / "fused") == whole
    assert not (out / "noise.png").exists()
    assert not (out / "standing.md").exists()


def test_names_that_cannot_be_files_are_told_from_those_that_can():
    good = ["lytro-01", "000000000139-000", "two", "a.b", "größe", "x" * 190, "console"]
    bad = ["a/b", "a\\b", "C:x", "..", ".", "", "x\0", "tab\there", "NUL", "com1.x", "x" * 210, "\ud800"]
    assert not unusable_names(good)
    assert [*unusable_names(good + bad)] == bad
    twins = ["LYTRO-01", "two.decision", "gro\u0308ße"]
    assert [*unusable_names(good + twins)] == twins
    assert "those of two" in unusable_names(good + twins)["two.decision"]


def test_a_sample_called_as_a_path_is_written_nowhere(tmp_path):
    (tmp_path / "victim.json").write_text("precious")
    method = Method("average", "classic method", "average")
    for name in (
        str(tmp_path / "victim"),
        "../../../victim",
        "..",
        "a/b",
        "a\\b",
        "C:x",
        "",
        "x\0",
        "\ud800",
    ):
        place = Place(tmp_path / "out", method, name)
        assert name in unusable_names(["good", name])
        for suffix in (".json", ".png"):
            with pytest.raises(PictureError, match="cannot be a file name"):
                place.path(suffix)
        with pytest.raises(PictureError):
            keep(place, Fused(np.zeros((8, 8, 3), np.uint8), None, None), {"psnr": 1.0}, "0")
    assert [path.name for path in tmp_path.iterdir()] == ["victim.json"]


def test_what_is_read_is_not_written(evaluated, pairs, tmp_path, evaluate):
    out = Path(shutil.copytree(evaluated[0], tmp_path / "out"))
    shutil.copytree(pairs, out / "pairs")
    whole = tree(out)
    theirs = f"folder:theirs:{out / 'fused' / 'average'}"
    for methods, data in ((f"average,{theirs}", pairs), ("average", out / "pairs")):
        done = evaluate(methods, f"pairs:{data}", out)
        assert done.returncode == 1
        assert "which is read, is in" in done.stderr
    assert tree(out) == whole


def test_a_folder_that_holds_something_else_is_left_alone(pairs, small_pairs, tmp_path, evaluate):
    (tmp_path / "evaluation").mkdir()
    (tmp_path / "evaluation" / "mine.txt").write_text("precious")
    before = tree(tmp_path), tree(small_pairs)
    for out in (tmp_path, small_pairs):
        done = evaluate("average", f"pairs:{pairs}", out)
        assert done.returncode == 1
        assert "holds something other than an evaluation" in done.stderr
    assert (tree(tmp_path), tree(small_pairs)) == before


def test_what_cannot_be_kept_is_one_line(pairs, tmp_path, evaluate):
    out = tmp_path / "out"
    (out / "fused" / "average" / "p0.png").mkdir(parents=True)
    (out / ".evaluation").touch()
    done = evaluate("average", f"pairs:{pairs}", out)
    assert done.returncode == 1
    assert "cannot save average's picture of p0" in done.stderr
    assert "Traceback" not in done.stderr


def test_others_pictures_are_in_the_manifest_by_hash_and_in_json_without_nan(
    evaluated, pairs, tmp_path, evaluate
):
    out = tmp_path / "out"
    theirs = f"folder:theirs:{evaluated[0] / 'fused' / 'gff'}"
    done = evaluate(theirs, f"pairs:{pairs}", out, "--json")
    assert done.returncode == 0, done.stderr
    means = json.loads(done.stdout, parse_constant=pytest.fail)["means"]["theirs"]
    assert means["psnr"] == pytest.approx(
        np.mean([float(rows_of(out)[f"p{k}", "theirs"]["psnr"]) for k in range(3)])
    )
    assert "swap_mean" not in means
    text = (out / "manifest.json").read_text()
    assert len(json.loads(text)["methods"][0]["identity"]) == 64
    assert str(evaluated[0]) not in text


def test_what_changed_or_another_release_kept_is_computed_again(evaluated, pairs, tmp_path, evaluate):
    """Another release's keys differ, for its code is part of them; its files' values are not believed."""
    folder = Path(shutil.copytree(pairs, tmp_path / "pairs"))
    out = Path(shutil.copytree(evaluated[0], tmp_path / "out"))
    changed = read(folder / "p0_A.png")
    changed[0, 0] ^= 255
    assert cv2.imwrite(str(folder / "p0_A.png"), changed[..., ::-1])
    for path in out.glob("fused/dummy-a/*.json"):
        change(path, key="0" * 64, values={"q_mi": 9.0})
    again = evaluate("average,dummy-a", f"pairs:{folder}", out, "--json")
    assert json.loads(again.stdout)["kept"] == 2  # the average of p1 and p2
    assert np.array_equal(read(out / "fused" / "dummy-a" / "p0.png"), changed)
    whole, now = tree(evaluated[0] / "fused"), tree(out / "fused")
    assert {name for name in whole if whole[name] != now[name]} == {
        f"{method}/p0.{kind}" for method in ("average", "dummy-a") for kind in ("png", "json")
    }


def test_a_killed_run_goes_on(evaluated, pairs, tmp_path, started, evaluate):
    out, methods, data = tmp_path / "out", f"hf-seg,{QUICK}", f"pairs:{pairs}"
    with started("evaluate", "--methods", methods, "--data", data, "--out", out, "--workers", 1) as first:
        deadline = time.monotonic() + 120
        while not list(out.glob("fused/*/*.json")) and time.monotonic() < deadline:
            time.sleep(0.02)
        os.kill(first.pid, signal.SIGKILL)
        first.finished()
    assert not (out / "scores.csv").exists()
    done = evaluate(methods, data, out, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert 1 <= report["kept"] < 15
    assert (out / "scores.csv").read_bytes() == (evaluated[0] / "scores.csv").read_bytes()


def test_broken_pairs_are_named_and_left_out(pairs, tmp_path, evaluate):
    folder = tmp_path / "pairs"
    folder.mkdir()
    for path in pairs.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "p1_B.png").write_bytes((folder / "p1_B.png").read_bytes()[:200])
    shutil.copyfile(folder / "p0_A.png", folder / "p3_A.png")
    for name in ("a\\b", "P9", "p9"):
        for role in "AB":
            shutil.copyfile(folder / f"p0_{role}.png", folder / f"{name}_{role}.png")
    out = tmp_path / "out"
    done = evaluate("average,dummy-a,dummy-b", f"pairs:{folder}", out)
    assert done.returncode == 1
    assert "p1: cannot read" in done.stderr
    assert "Traceback" not in done.stderr
    assert {image for image, _ in rows_of(out)} == {"P9", "p0", "p2"}
    manifest = (out / "manifest.json").read_text()
    assert list(json.loads(manifest)["left_out"]) == ["a\\b", "p1", "p3", "p9"]
    assert str(folder) not in manifest
    assert "p3: its picture B is missing" in done.stderr
    assert "cannot be a file name" in done.stderr
    assert "p9: its pictures would have the same file names as those of P9" in done.stderr
    assert {path.name.partition(".")[0] for path in (out / "fused" / "average").iterdir()} == {
        "P9",
        "p0",
        "p2",
    }


def test_when_no_pair_is_left_nothing_is_claimed(tmp_path, evaluate):
    for role in "AB":
        (tmp_path / f"p_{role}.png").write_bytes(b"no picture")
    out = tmp_path / "out"
    done = evaluate("average", f"pairs:{tmp_path}", out)
    assert done.returncode == 1
    assert "no stack could be scored" in done.stderr
    assert not (out / "scores.csv").exists()


def test_shards_have_decisions_bands_and_noise(small_pairs, tmp_path, evaluate):
    out = tmp_path / "out"
    methods = "hf-seg,average,dummy-a"
    done = evaluate(methods, f"shards:{small_pairs}", out, "--no-swap", "--limit", 6)
    assert done.returncode == 0, done.stderr
    rows = rows_of(out)
    network = next(row for (_, method), row in rows.items() if method == "hf-seg")
    assert 0 <= float(network["accuracy"]) <= 1
    assert network["psnr_band"]
    assert 0 < float(network["noise"]) <= 0.1
    assert "swap_mean" not in network
    assert (out / "noise.png").exists()


def test_few_methods_still_give_a_page_and_times(pairs, tmp_path, evaluate):
    out = tmp_path / "out"
    done = evaluate("average", f"pairs:{pairs}", out, "--limit", 1, "--times")
    assert done.returncode == 0, done.stderr
    times = (out / "times.md").read_text()
    assert "520², ms" in times
    assert "threads of torch and OpenCV" in times
    assert "Too few methods" in (out / "ranks.md").read_text()
    assert (out / "index.html").exists()
    assert not (out / "ranks.png").exists()


def test_unknown_methods_stop_before_the_work(pairs, tmp_path, evaluate):
    done = evaluate("average,gif", f"pairs:{pairs}", tmp_path / "out")
    assert done.returncode == 1
    assert "did you mean" in done.stderr
    assert not (tmp_path / "out").exists()


def test_squares_are_made_of_the_middle():
    picture = np.zeros((100, 140, 3), np.uint8)
    picture[:, 20:120] = 200
    assert (square(picture, 50) == 200).all()
    assert square(picture, 100).shape == square(picture[:100, :100], 100).shape == (100, 100, 3)


@pytest.mark.slow
def test_published_pictures_give_the_papers_columns(shared_golden, tmp_path, evaluate):
    """Column CNN within 5e-5, column GFF within 1e-4 (it was cut off, not rounded)."""
    methods = f"folder:gff:{shared_golden / 'lytro_gff'},folder:cnn:{shared_golden / 'lytro_cnn'}"
    done = evaluate(methods, f"lytro:{shared_golden.parent / 'lytro'}", tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    from zoo.evaluation.paper import printed

    means = json.loads(done.stdout)["means"]
    for measure, (mean, _) in printed("lytro")["cnn"].items():
        assert abs(means["cnn"][measure] - mean) <= 5e-5
    for measure, (mean, _) in printed("lytro")["gff"].items():
        assert 0 <= means["gff"][measure] - mean < 1e-4


def test_times_are_of_many_calls(pairs):
    from zoo.evaluation.data import open_data
    from zoo.evaluation.methods import parse_methods

    data = open_data(f"pairs:{pairs}")
    times = time_methods(parse_methods(["dummy-a,average"]), [data.load("p0")], threads=1)
    assert [(each.method, each.side) for each in times] == [
        (method, side) for side in (520, 260, 130) for method in ("dummy-a", "average")
    ]
    assert all(each.calls >= 5 and each.seconds > 0 for each in times)
