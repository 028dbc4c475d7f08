"""The files of a published data set: checked shards, attributions, the card, the Croissant file."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from conftest import Cli, tree
from huggingface_hub import DatasetCard

import mfsynth
from mfsynth.cli import build as build_command_line
from mfsynth.errors import (
    HubConflictError,
    HubError,
    LicenseError,
    MissingExtraError,
    OptionsError,
    ShardError,
)
from mfsynth.hub import RemoteFile, Repository
from mfsynth.options import BuildOptions, Selection
from mfsynth.options.command import build_command
from mfsynth.publish import run
from mfsynth.publish.attribution import attribute
from mfsynth.publish.card import card_data, dataset_card
from mfsynth.publish.contents import stale_in
from mfsynth.publish.run import FileInfo, PublishOptions, PublishReport, check_arrived, publish
from mfsynth.shards.manifest import LicenseCount, Manifest

PAIRS = Repository("ann/pairs", "dataset")


def dry(folder: Path, **options: Any) -> PublishReport:
    return publish(PublishOptions(folder, "ann/pairs", dry_run=True, **options))


def copied(folder: Path, to: Path) -> Path:
    shutil.copytree(folder, to)
    return to


# --- what is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["flipped", "short", "missing"])
def test_a_damaged_folder_is_refused(demo: Path, tmp_path: Path, fault: str) -> None:
    shard = copied(demo, tmp_path / "set") / "demo-000001.tar"
    data = bytearray(shard.read_bytes())
    data[-2000] ^= 1
    if fault == "missing":
        shard.unlink()
    else:
        shard.write_bytes(data if fault == "flipped" else data[:-512])
    with pytest.raises(ShardError, match=r"demo-000001\.tar .*nothing was sent; run `mfsynth verify"):
        dry(tmp_path / "set")


def test_an_unfinished_folder_is_refused(demo: Path, tmp_path: Path) -> None:
    (copied(demo, tmp_path / "set") / "manifest.json").unlink()
    with pytest.raises(ShardError, match=r"not a finished data set; .*the same `mfsynth build` again"):
        dry(tmp_path / "set")


def test_licenses_are_checked_before_anything_is_read(closed: Path) -> None:
    steps: list[str] = []
    with pytest.raises(LicenseError, match=r"4 of 6 samples .*unknown \(id 11\)"):
        publish(PublishOptions(closed, "ann/own"), progress=lambda what, *_: steps.append(what))
    assert not steps


def test_a_dry_run_shows_what_would_be_refused(closed: Path) -> None:
    lines = dry(closed).lines()
    assert any("would be refused: 4 of 6 samples" in line for line in lines)
    assert dry(closed, accept_licenses=True).refused == ""


def test_a_dry_run_that_would_be_refused_is_a_failure(cli: Cli, closed: Path) -> None:
    words = ["publish", closed, "--repo", "ann/own", "--dry-run"]
    run = cli(*words)
    assert run.returncode == 1
    assert run.stdout.startswith("would publish at ")
    refusal = run.stderr.splitlines()[-1]
    assert refusal.startswith("mfsynth: would be refused: 4 of 6 samples may not be published freely")
    assert json.loads(cli(*words, "--json").stdout)["refused"].startswith("4 of 6 samples")
    assert cli(*words, "--quiet").returncode == 1
    fine = cli(*words, "--accept-licenses", "--quiet")
    assert (fine.returncode, fine.stdout, fine.stderr) == (0, "", "")


@pytest.mark.parametrize("package", ["jinja2", "mlcroissant"])
def test_a_missing_extra_is_named_before_work_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setattr(run, "find_spec", lambda name: None if name == package else name)
    with pytest.raises(MissingExtraError, match=rf"{package} .*pip install -e '\.\[publish\]'"):
        dry(tmp_path)


def test_names_of_repositories_are_checked_without_the_hub(demo: Path) -> None:
    with pytest.raises(OptionsError, match="user/name"):
        PublishOptions(demo, "pairs")
    with pytest.raises(HubError, match="not the name of a repository"):
        publish(PublishOptions(demo, "ann/pa--irs", dry_run=True))


def test_only_files_of_older_versions_are_stale(manifest: Manifest) -> None:
    stale = stale_in(PAIRS, manifest)
    names = [
        "demo-000007.tar",
        "samples.png",
        "notes.md",
        ".gitattributes",
        "data/demo-000007.tar",
        ".parts/x",
    ]
    assert [name for name in names if stale(name)] == ["demo-000007.tar", "samples.png"]
    with pytest.raises(HubConflictError, match="holds shards of val2017"):
        stale("val2017-000000.tar")


def test_every_hash_is_compared_on_arrival(demo: Path) -> None:
    files = dry(demo).files
    sent = {name: demo / name for name in files if (demo / name).exists()}
    held = {name: RemoteFile(files[name].size, "", files[name].sha256) for name in sent}
    expected = {name: files[name] for name in sent}
    check_arrived(held, expected, sent)
    other = FileInfo(files["manifest.json"].size, "0" * 64)
    for wrong in ({}, held | {"manifest.json": RemoteFile(other.size, "", other.sha256)}):
        with pytest.raises(HubError, match=r"(manifest\.json|demo-000000\.tar) has not arrived"):
            check_arrived(wrong, expected, sent)


# --- the files ---------------------------------------------------------------------------------------


def test_files_are_the_same_each_time_and_the_folder_stays_as_it_is(demo: Path) -> None:
    before = tree(demo)
    first = dry(demo)
    assert first == dry(demo)
    assert tree(demo) == before
    names = ["README.md", "samples.png", "croissant.json", "manifest.json", "ATTRIBUTION.tsv"]
    assert list(first.files) == [*names, "demo-000000.tar", "demo-000001.tar"]
    for name in ("manifest.json", "demo-000000.tar", "demo-000001.tar"):
        assert first.files[name] == FileInfo.of(demo / name)


def test_without_matplotlib_the_card_shows_no_picture(demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mfsynth.publish import contents

    assert "(samples.png)" in dry(demo).card
    monkeypatch.setattr(contents, "find_spec", lambda _: None)
    said: list[str] = []
    report = publish(PublishOptions(demo, "ann/pairs", dry_run=True), said.append)
    assert "samples.png" not in report.files
    assert "samples.png" not in report.card
    assert "pip install -e '.[preview]'" in said[0]


def test_every_image_has_a_line_with_its_license_and_urls(closed: Path) -> None:
    found = attribute(closed, Manifest.read(closed))
    rows = list(csv.DictReader(found.table.decode().splitlines(), delimiter="\t"))
    recipes = [scene.recipe for scene in mfsynth.open(closed).scenes()]
    samples = Counter(recipe.image for recipe in recipes)
    assert [int(row["image_id"]) for row in rows] == sorted({image.id for image in samples})
    for row, (image, count) in zip(rows, samples.items(), strict=True):
        assert (row["file_name"], int(row["samples"])) == (image.file_name, count)
        assert (row["coco_url"], row["flickr_url"]) == (image.coco_url, image.flickr_url)
        url = "http://creativecommons.org/licenses/by/2.0/" if image.license == 4 else ""
        assert row["license_url"] == url
        assert row["license"] == ("CC BY 2.0" if image.license == 4 else "unknown (id 11)")
    assert found.images == {4: 1, 11: 2}


def test_recipes_that_contradict_the_manifest_are_noticed(closed: Path) -> None:
    manifest = Manifest.read(closed)
    free = replace(manifest, licenses=(replace(manifest.licenses[0], samples=6),))
    with pytest.raises(ShardError, match="other licenses than the manifest"):
        attribute(closed, free)


# --- the card -----------------------------------------------------------------------------------------


def metadata(manifest: Manifest) -> dict[str, Any]:
    return card_data(manifest, PAIRS).to_dict()


def test_a_cards_metadata_is_what_the_hub_takes(demo: Path) -> None:
    data = DatasetCard(dry(demo).card).data.to_dict()
    assert data == {
        "pretty_name": "Multi-focus pairs of drawn scenes",
        "license": "cc0-1.0",
        "size_categories": ["n<1K"],
        "task_categories": ["image-to-image", "image-segmentation"],
        "task_ids": ["panoptic-segmentation"],
        "tags": ["multi-focus-image-fusion", "image-fusion", "focus-stacking", "webdataset", "mfsynth"],
        "configs": [
            {"config_name": "default", "data_files": [{"split": "train", "path": "demo-*.tar"}]},
        ],
    }


def test_the_metadata_has_a_license_only_if_it_covers_everything(manifest: Manifest) -> None:
    by = LicenseCount(4, "Attribution License", "", 6)
    own = replace(manifest, split="own", licenses=(by,))
    assert metadata(own)["license"] == "cc-by-2.0"
    coco = metadata(replace(own, split="val2017", options=manifest.options | {"masks": "instances"}))
    assert (coco["license"], coco["license_name"]) == ("other", "per-picture")  # annotations: CC BY 4.0
    assert coco["license_link"].endswith("/datasets/ann/pairs/blob/main/ATTRIBUTION.tsv")
    assert coco["configs"][0]["data_files"] == [{"split": "validation", "path": "val2017-*.tar"}]
    assert coco["task_ids"] == ["instance-segmentation"]
    unknown = replace(own, licenses=(by, LicenseCount(11, "unknown", "", 1)))
    assert metadata(unknown)["license"] == "other"


def test_a_card_agrees_with_the_manifest(manifest: Manifest) -> None:
    evil = LicenseCount(11, "mine | <script>\n# all", "", 2)
    counts = (LicenseCount(3, "Attribution-NonCommercial-NoDerivs License", "", 4), evil)
    options = manifest.options | {"noise": [0.0, 0.1], "format": "jpeg", "licenses": [3, 11]}
    left_out, skipped = {"min-area": (3, 4)}, {"box-only": 1234}
    noted = {"transparency": (5, 6, 7)}
    other = replace(
        manifest,
        licenses=counts,
        options=options,
        left_out=left_out,
        skipped=skipped,
        noted=noted,
        split="val2017",
    )
    text = dataset_card(other, PAIRS, {3: 4, 11: 2})
    for shard in manifest.shards:
        assert f"| {shard.name} | 3 | {shard.size:,} | `{shard.sha256}` |" in text
    assert (
        "| 4 | 4 | [CC BY-NC-ND 2.0](http://creativecommons.org/licenses/by-nc-nd/2.0/) | **no** | **no** |"
        in text
    )
    assert "| 2 | 2 | mine / (script) # all (id 11) | unknown | unknown |" in text
    assert "| 2 | its segments cannot be divided" in text
    assert (
        "\n\n| records of the annotations skipped | reason |\n|---|---|\n| 1,234 | instances without" in text
    )
    assert (
        "\n\n| images used, but not quite as they are | what was done |\n|---|---|\n| 3 | its transparency"
        in text
    )
    assert "mfsynth build --from hf://datasets/ann/pairs/manifest.json --coco COCO --out again" in text
    assert "standard deviation from 0.0 to 0.1 of full range" in text
    assert "CC BY 4.0" in text
    assert "lin2014coco" in text
    for field in manifest.layout.fields:
        assert f"| `KEY.{field}` |" in text
    assert "{{" not in text
    assert "{%" not in text
    assert "\n\n\n" not in text


def test_rows_of_a_cards_tables_have_the_same_columns(demo: Path) -> None:
    lines = dry(demo).card.splitlines()
    for before, line in pairwise(lines):
        if line.startswith("|") and before.startswith("|"):
            assert line.count("|") == before.count("|"), line


@pytest.mark.parametrize("store", ["demo", "small_recipes"])
def test_datasets_finds_the_shards_by_the_cards_configuration(
    store: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_OFFLINE", True)
    folder = copied(request.getfixturevalue(store), tmp_path / "set")
    card = dataset_card(Manifest.read(folder), PAIRS, {4: 9, 9: 6})
    (folder / "README.md").write_text(card)
    rows = datasets.load_dataset(
        str(folder), split="train", streaming=True, cache_dir=str(tmp_path / "cache")
    )
    for row, scene in zip(rows, mfsynth.open(folder).scenes(), strict=True):
        assert row["__key__"] == scene.key
        assert row["json"]["blur"]["sigma"] == scene.recipe.blur.sigma
        assert np.array_equal(np.asarray(row["segments.png"]), scene.segments)


@pytest.mark.parametrize(
    "options",
    [
        BuildOptions("demo"),
        BuildOptions("val2017", "instances", 7, 3, (0.5, 4.25), (0.0, 0.1), "recipe", shards=64),
        BuildOptions("my-split", format="jpeg", min_area=1 / 3, licenses=(4, 5), limit=9),
        BuildOptions("demo", images=Selection((1, 2), (3,))),
        BuildOptions("mine", depth="near", frames=6),
        BuildOptions("mine", depth="far", planes=32),
    ],
)
def test_the_command_gives_the_options_again(
    options: BuildOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("ids.txt").write_text("1\n2\n!3\n")
    words = build_command(options).split()
    context = build_command_line.make_context("build", words[2:])
    given = {each.name: context.params[each.name] for each in fields(BuildOptions)}
    images = Selection.read(given["images"]) if given["images"] else Selection()
    large = "far" if context.params["depth_far_is_large"] else "near"
    given |= {"images": images, "limit": given["limit"] or 0, "depth": large if given["depth"] else "none"}
    assert BuildOptions(**given) == options


def test_a_card_of_stacks_names_targets_and_reads_frames_by_number(small_stacks: Path) -> None:
    text = dataset_card(Manifest.read(small_stacks), PAIRS, {4: 9})
    assert "# Focus stacks of 12 frames, small" in text
    assert "12 x 3 x H x W" in text
    assert "\n\n## Citation" in text
    assert "disk, radius from 2.0 to 6.0 pixels" in text
    assert "near objects out of focus spread over what is behind them; in linear light" in text
    assert "| `KEY.nearest.png` | gray, 8 bit | the index of the frame that is nearest" in text
    assert "| `KEY.certain.png` | gray, 8 bit | 255 where some frame shows the ground truth" in text
    assert [line.split("`")[1] for line in text.splitlines() if "| `KEY.frame" in line] == [
        f"KEY.frame{k}.png" for k in range(12)
    ]
    for untrue in ("pairs of", "both frames", "hard edges", "Gaussian blur", "{{", "{%", "\n\n\n"):
        assert untrue not in text


def test_a_card_of_layers_does_not_speak_of_masks(small_stacks: Path) -> None:
    manifest = Manifest.read(small_stacks)
    layers = replace(manifest, options=manifest.options | {"depth": "near"})
    text = dataset_card(layers, PAIRS, {4: 9})
    assert "| planes | layers of depth maps |" in text
    assert "- Frames and maps follow the depth maps" in text
    assert "of 16 planes" in text
    for untrue in ("masks", "panoptic-segmentation", "Each object lies", "\n\n\n"):
        assert untrue not in text
    assert "task_ids" not in metadata(layers)


def test_the_cards_code_reads_stacks(
    small_stacks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The blocks for datasets and webdataset run, on the folder instead of the Hub."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    folder = copied(small_stacks, tmp_path / "set")
    card = dataset_card(Manifest.read(folder), PAIRS, {4: 9})
    (folder / "README.md").write_text(card)
    blocks = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    assert len(blocks) == 4
    found: dict[str, Any] = {}
    for block in blocks:
        code = block.replace("hf://datasets/ann/pairs", str(folder)).replace("ann/pairs", str(folder))
        code = re.sub(r'url = ".*/', f'url = "{folder}/', code)
        exec(code, found)
        if "frames = " in code:
            for seen, frame in zip(found.pop("frames"), mfsynth.open(folder)[0].frames, strict=True):
                assert np.array_equal(np.asarray(seen), frame)


# --- Croissant ----------------------------------------------------------------------------------------

READ = """
import hashlib, json, sys
import mlcroissant as mlc
import numpy as np

described, folder = sys.argv[1:]
content = json.load(open(described))
mapping = {
    each["name"]: f"{folder}/{each['name']}"
    for each in content["distribution"] if each["@type"] == "cr:FileObject"
}
data = mlc.Dataset(described, mapping=mapping)


def seen(value):
    if isinstance(value, bytes):
        return value.decode()
    return hashlib.sha256(np.asarray(value).tobytes()).hexdigest() if hasattr(value, "size") else value


print(json.dumps({
    "errors": list(data.metadata.ctx.issues.errors),
    "records": {
        each.id: [{name.split("/")[1]: seen(value) for name, value in record.items()}
                  for record in data.records(each.id)]
        for each in data.metadata.record_sets
    },
}))
"""


def described(folder: Path, to: Path) -> Path:
    """The folder as in a repository, with links to its shards; returns the path of the Croissant file."""
    from mfsynth.publish.contents import contents

    files = contents(folder, Manifest.read(folder), PAIRS, lambda _: None, lambda *_: None)
    to.mkdir()
    for name, data in files.items():
        if isinstance(data, bytes):
            (to / name).write_bytes(data)
        else:
            (to / name).symlink_to(data)
    return to / "croissant.json"


def read_by_mlcroissant(file: Path, cache: Path) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"CROISSANT_CACHE": str(cache), "NO_PROXY": "*"}
    command = [sys.executable, "-c", READ, str(file), str(file.parent)]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)


def test_mlcroissant_reads_every_member_from_the_shards(demo: Path, tmp_path: Path) -> None:
    file = described(demo, tmp_path / "repository")
    done = read_by_mlcroissant(file, tmp_path / "cache")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["errors"] == []
    records = found["records"]
    assert set(records) == {"json", "gt", "segments", "focus", "frame0", "frame1", "images"}
    content = {
        name: {each["key"]: each["content"] for each in records[name]} for name in records if name != "images"
    }
    samples = list(mfsynth.open(demo))
    assert all(content[name].keys() == {sample.key for sample in samples} for name in content)
    for sample in samples:
        assert json.loads(content["json"][sample.key]) == json.loads(sample.recipe.to_json())
        pictures = {"focus": sample.focus, "segments": sample.segments, "frame0": sample.frames[0]}
        for name, picture in pictures.items():
            assert content[name][sample.key] == mfsynth_hash(picture), name
    assert [each["image_id"] for each in records["images"]] == [1, 2, 3, 4, 5, 6]
    assert {each["license"] for each in records["images"]} == {"CC0 1.0"}


def test_mlcroissant_reads_stacks_and_their_targets(small_stacks: Path, tmp_path: Path) -> None:
    file = described(small_stacks, tmp_path / "repository")
    done = read_by_mlcroissant(file, tmp_path / "cache")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["errors"] == []
    records = found["records"]
    frames = [f"frame{k}" for k in range(12)]
    maps = ["focus", "nearest", "certain"]
    assert set(records) == {"json", "gt", "segments", "images", *maps, *frames}
    content = {name: {each["key"]: each["content"] for each in records[name]} for name in (*maps, *frames)}
    for sample in mfsynth.open(small_stacks):
        pictures = dict(zip(frames, sample.frames, strict=True)) | {
            name: getattr(sample, name) for name in maps
        }
        for name, picture in pictures.items():
            assert content[name][sample.key] == mfsynth_hash(picture), name
    described_sets = {each["@id"]: each["description"] for each in json.loads(file.read_text())["recordSet"]}
    assert set(described_sets) == set(records)


def mfsynth_hash(picture: np.ndarray) -> str:
    import hashlib

    return hashlib.sha256(picture.tobytes()).hexdigest()


def test_the_croissant_file_gives_every_files_size_and_hash(demo: Path, tmp_path: Path) -> None:
    content = json.loads(described(demo, tmp_path / "repository").read_bytes())
    files = {each["name"]: each for each in content["distribution"] if each["@type"] == "cr:FileObject"}
    assert set(files) == {"demo-000000.tar", "demo-000001.tar", "manifest.json", "ATTRIBUTION.tsv"}
    for name, each in files.items():
        info = FileInfo.of(tmp_path / "repository" / name)
        assert (each["contentSize"], each["sha256"]) == (f"{info.size} B", info.sha256)
        assert each["contentUrl"].endswith(f"/datasets/ann/pairs/resolve/main/{name}")
    assert content["license"] == "https://creativecommons.org/publicdomain/zero/1.0/"


def test_mlcroissant_refuses_a_shard_of_another_hash(demo: Path, tmp_path: Path) -> None:
    file = described(demo, tmp_path / "repository")
    shard = file.parent / "demo-000000.tar"
    data = bytearray(shard.read_bytes())
    data[600] ^= 1
    shard.unlink()
    shard.write_bytes(data)
    done = read_by_mlcroissant(file, tmp_path / "cache")
    assert done.returncode != 0
    assert "not identical" in done.stderr
