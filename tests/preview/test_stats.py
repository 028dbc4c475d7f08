from __future__ import annotations

import json
import math
import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mfsynth.building.run import Run, build
from mfsynth.errors import OptionsError, ShardError
from mfsynth.options import BuildOptions
from mfsynth.preview.histograms import draw
from mfsynth.preview.stats import collect


def quiet(done: int, total: int) -> None:
    """A progress that shows nothing."""


def recipes(folder: Path) -> list[dict[str, Any]]:
    """The recipes, read with nothing of ours."""
    found = []
    for shard in sorted(folder.glob("*.tar")):
        with tarfile.open(shard) as archive:
            for member in archive:
                if member.name.endswith(".json"):
                    found.append(json.load(archive.extractfile(member)))  # type: ignore[arg-type]
    return found


def by_hand(folder: Path) -> dict[str, list[float]]:
    """Every quantity's values."""
    values: dict[str, list[float]] = {}
    for recipe in recipes(folder):
        image, segments = recipe["image"], recipe["segments"]
        chosen = [segment for segment in segments if segment["plane"] == 1]
        row = {
            "sigma": recipe["blur"]["sigma"],
            "focus_share": sum(s["area"] for s in chosen) / (image["width"] * image["height"]),
            "noise_sigma": recipe["frames"][1]["noise_sigma"],
            "segments": len(segments),
            "chosen": len(chosen),
            "tries": recipe["tries"],
            "width": image["width"],
            "height": image["height"],
            "megapixels": image["width"] * image["height"] / 1_000_000,
        }
        for name, value in row.items():
            values.setdefault(name, []).append(value)
    return values


def test_numbers_are_those_of_the_recipes(data):
    values = by_hand(data.pairs)
    report = collect(str(data.pairs), quiet).to_json()
    assert set(report["distributions"]) == set(values)
    for name, numbers in values.items():
        found = report["distributions"][name]
        expected = {
            "min": min(numbers), "p5": np.percentile(numbers, 5), "median": np.median(numbers),
            "mean": np.mean(numbers), "p95": np.percentile(numbers, 95), "max": max(numbers),
        }  # fmt: skip
        assert {key: found[key] for key in expected} == pytest.approx(expected), name


def test_counts(data):
    report = collect(str(data.pairs), quiet).to_json()
    assert (report["samples"], report["shards"], report["images"]) == (8, 2, 4)
    assert report["left_out"] == {"min-area": 1}
    counts = {license["id"]: license["samples"] for license in report["licenses"]}
    ids = [recipe["image"]["license"] for recipe in recipes(data.pairs)]
    assert counts == {id: ids.count(id) for id in set(ids)}


def test_both_stores_and_a_url_give_the_same(data):
    pairs = collect(str(data.pairs), quiet)
    for location in (data.recipes, data.pairs / "manifest.json", f"file://{data.pairs}"):
        other = collect(str(location), quiet)
        assert other.to_json() == pairs.to_json()
        for name, values in pairs.values.items():
            np.testing.assert_array_equal(other.values[name], values)


def test_progress_ends_at_the_last_sample(data):
    calls: list[tuple[int, int]] = []
    collect(str(data.pairs), lambda done, total: calls.append((done, total)))
    assert calls[-1] == (8, 8)


def test_command_prints_an_aligned_table(data, mfsynth):
    done = mfsynth("stats", data.pairs)
    assert done.returncode == 0, done.stderr
    table = done.stdout.split("\n\n")[0].splitlines()
    assert table[0].split() == ["min", "5%", "median", "mean", "95%", "max"]
    assert len({len(line) for line in table}) == 1
    assert "samples 8, shards 2, images 4" in done.stdout
    assert "1 by min-area" in done.stdout
    assert "Two $licenses (2)" in done.stdout


def test_command_reports_json_and_draws(data, tmp_path, mfsynth):
    done = mfsynth("stats", data.recipes, "--json", "-o", tmp_path / "stats.png")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == collect(str(data.pairs), quiet).to_json()
    with Image.open(tmp_path / "stats.png") as drawn:
        assert min(drawn.size) > 1000
        assert np.asarray(drawn.convert("L")).std() > 20


def test_drawing_goes_to_png_alone(data, tmp_path):
    stats = collect(str(data.pairs), quiet)
    with pytest.raises(OptionsError, match=r"\.png"):
        draw(stats, tmp_path / "stats.jpg")
    assert not list(tmp_path.iterdir())


def test_shard_that_is_cut_short_is_named(data, tmp_path):
    shutil.copytree(data.pairs, tmp_path / "cut")
    shard = sorted((tmp_path / "cut").glob("*.tar"))[1]
    shard.write_bytes(shard.read_bytes()[:2000])
    with pytest.raises(ShardError, match=shard.name):
        collect(str(tmp_path / "cut"), quiet)


def test_shard_with_fewer_samples_than_promised_is_named(data, tmp_path):
    shutil.copytree(data.pairs, tmp_path / "few")
    shard = sorted((tmp_path / "few").glob("*.tar"))[0]
    shard.write_bytes(bytes(10240))
    with pytest.raises(ShardError, match=f"{shard.name} has 10240 bytes, the manifest says"):
        collect(str(tmp_path / "few"), quiet)


def test_empty_data_set_has_counts_and_no_table(data, tmp_path):
    manifest = json.loads((data.pairs / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(
        json.dumps(manifest | {"samples": 0, "shards": [], "licenses": []})
    )
    stats = collect(str(tmp_path), quiet)
    assert stats.to_json()["distributions"] == {}
    assert stats.lines()[0] == "samples 0, shards 0, images 0"
    with pytest.raises(ShardError, match="no samples"):
        draw(stats, tmp_path / "stats.png")


def test_wrong_output_is_noticed_before_anything_is_read(tmp_path, mfsynth):
    done = mfsynth("stats", tmp_path / "nowhere", "-o", tmp_path / "stats.jpg")
    assert done.returncode == 2
    assert "name the output .png" in done.stderr


def test_numbers_of_stacks_are_those_of_their_recipes(small_stacks, tmp_path):
    stats = collect(str(small_stacks), quiet)
    every = recipes(small_stacks)
    shots = [shot for recipe in every for shot in recipe["optics"]["frames"]]
    expected = {
        "radius": [recipe["optics"]["radius"] for recipe in every],
        "shot_noise": [100 * math.sqrt(recipe["optics"]["shot_noise"]) for recipe in every],
        "read_noise": [100 * recipe["optics"]["read_noise"] for recipe in every],
        "sharpness": [each["sharpness"] for recipe in every for each in recipe["optics"]["segments"]],
        "quality": [shot["quality"] for shot in shots],
        "frame_share": [
            sum(each["area"] for each in recipe["segments"] if each["plane"] == k)
            / (recipe["image"]["width"] * recipe["image"]["height"])
            for recipe in every for k in range(12)
        ],
        "frames_in_focus": [len({each["plane"] for each in recipe["segments"]}) for recipe in every],
    }  # fmt: skip
    for name, values in expected.items():
        assert stats.values[name].tolist() == pytest.approx(values), name
    shared = {"segments", "tries", "width", "height", "megapixels"}
    assert set(stats.values) == set(expected) | shared
    report = stats.to_json()
    assert (report["frames"], report["planes"]) == (12, 12)
    assert "frames 12, planes 12" in "\n".join(stats.lines())
    draw(stats, tmp_path / "stats.png")


def test_breathing_and_joined_segments_are_counted(tiny_coco, tmp_path):
    options = BuildOptions("tiny", frames=3, store="recipe", breathing=2.0, min_sharpness=1.0, shards=1)
    build(options, Run(tiny_coco, tmp_path / "set", workers=1))
    stats = collect(str(tmp_path / "set"), quiet)
    every = recipes(tmp_path / "set")
    shots = [shot for recipe in every for shot in recipe["optics"]["frames"]]
    assert stats.values["scale"].tolist() == pytest.approx([100 * (shot["scale"] - 1) for shot in shots])
    assert stats.values["exposure"].tolist() == [shot["exposure"] for shot in shots]
    joined = [
        sum(each["group"] != k for k, each in enumerate(recipe["optics"]["segments"])) for recipe in every
    ]
    assert stats.values["joined"].tolist() == joined


def test_options_that_the_recipes_do_not_follow_are_named(data, tmp_path):
    shutil.copytree(data.recipes, tmp_path / "set")
    manifest = json.loads((tmp_path / "set" / "manifest.json").read_text())
    manifest["options"]["kernel"] = "disk"
    (tmp_path / "set" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ShardError, match="recipe has format 1, the manifest's options give format 2"):
        collect(str(tmp_path / "set"), quiet)
