from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import Cli, tree
from forged import KEY, Members, change_recipe, problems, rewrite

import mfsynth
from mfsynth import Manifest, codecs
from mfsynth.building.make import content_of
from mfsynth.errors import ShardError
from mfsynth.preview.stats import collect
from mfsynth.verification.check import compare, differing_blocks, verify
from mfsynth.verification.report import Comparison


@pytest.fixture
def out(small_pairs: Path, tmp_path: Path) -> Path:
    shutil.copytree(small_pairs, tmp_path / "set")
    return tmp_path / "set"


@pytest.fixture
def recipes(small_recipes: Path, tmp_path: Path) -> Path:
    shutil.copytree(small_recipes, tmp_path / "recipes")
    return tmp_path / "recipes"


def forge_manifest(out: Path, **changes: object) -> None:
    manifest = json.loads((out / "manifest.json").read_text())
    (out / "manifest.json").write_text(json.dumps(manifest | changes))


def test_a_whole_data_set_passes(small_pairs: Path, small_recipes: Path) -> None:
    for folder, frames in ((small_pairs, 36), (small_recipes, 0)):
        result = verify(folder, samples=18)
        assert result.problems == ()
        assert (result.shards, result.samples, result.rendered) == (3, 18, 18)
        assert (result.comparison.values > 0) == (frames > 0)
        assert result.comparison.differing == 0


def test_jpeg_frames_are_compared_as_stored(small_coco: Path, tmp_path: Path, cli: Cli) -> None:
    build = ["build", "--split", "small", "--coco", small_coco, "--format", "jpeg", "--out", tmp_path / "set"]
    assert cli(*build).returncode == 0
    run = cli("verify", tmp_path / "set", "--json")
    report = json.loads(run.stdout)
    assert run.returncode == 0
    assert report["ok"] is True
    assert report["comparison"]["differing"] == 0


def test_a_flipped_bit_is_found_by_its_hash(out: Path) -> None:
    data = bytearray((out / "small-000002.tar").read_bytes())
    data[len(data) // 2] ^= 1
    (out / "small-000002.tar").write_bytes(data)
    assert "small-000002.tar has the SHA-256 " in problems(out, 0)


def test_missing_cut_and_stray_shards_are_found(out: Path) -> None:
    (out / "small-000000.tar").unlink()
    (out / "small-000001.tar").write_bytes((out / "small-000001.tar").read_bytes()[:5000])
    shutil.copy(out / "small-000002.tar", out / "small-000003.tar")
    found = problems(out, 0)
    assert "small-000000.tar is missing" in found
    assert "small-000001.tar has 5000 bytes, the manifest says" in found
    assert "small-000003.tar is not in the manifest" in found


def change_pixels(field: str, by: int, count: int) -> Callable[[Members], None]:
    def change(members: Members) -> None:
        array = codecs.decode_png(members[f"{KEY}.{field}"]).astype(int)
        flat = array.reshape(-1)
        flat[:count] = np.where(flat[:count] > 128, flat[:count] - by, flat[:count] + by)
        members[f"{KEY}.{field}"] = codecs.encode_png(array.astype(np.uint8))

    return change


def drop_bytes(field: str, count: int) -> Callable[[Members], object]:
    """Drop bytes from the middle of a member."""

    def rewrite(members: Members) -> None:
        data = members[f"{KEY}.{field}"]
        members[f"{KEY}.{field}"] = data[: len(data) // 2] + data[len(data) // 2 + count :]

    return rewrite


XMP = b'http://ns.adobe.com/xap/1.0/\0<rdf:Description tiff:Orientation="6"/>'
XMP = b"\xff\xe1" + (len(XMP) + 2).to_bytes(2, "big") + XMP


def insert(field: str, at: int, data: bytes) -> Callable[[Members], object]:
    """Insert bytes into a member."""

    def rewrite(members: Members) -> None:
        member = members[f"{KEY}.{field}"]
        members[f"{KEY}.{field}"] = member[:at] + data + member[at:]

    return rewrite


def focus_of(members: Members) -> np.ndarray:
    return codecs.decode_png(members[f"{KEY}.focus.png"])


FORGERIES: dict[str, tuple[str, Callable[[Members], object]]] = {
    "frame pixels": (
        "rendered again, 5 of .* values differ, by up to 3 gray",
        change_pixels("frame1.png", 3, 5),
    ),
    "too many by one": (
        "rendered again, 50 of .* values differ, by up to 1 ",
        change_pixels("frame0.png", 1, 50),
    ),
    "focus map": (
        "its focus map is not the one that its recipe gives",
        lambda m: m.update({f"{KEY}.focus.png": codecs.encode_png(1 - focus_of(m))}),
    ),
    "focus beyond the frames": (
        "focus.png has values beyond the sample's 2 frames",
        lambda m: m.update({f"{KEY}.focus.png": codecs.encode_png(2 + focus_of(m))}),
    ),
    "segments beyond the recipe": (
        "segments.png has segments that the recipe does not list",
        change_pixels("segments.png", 100, 3),
    ),
    "frame of another size": (
        "frame0.png: the PNG is 4 x 4, not 48 x 64",
        lambda m: m.update({f"{KEY}.frame0.png": codecs.encode_png(np.zeros((4, 4, 3), np.uint8))}),
    ),
    "gray frame": (
        "frame0.png is not an RGB picture of 8 bits",
        lambda m: m.update({f"{KEY}.frame0.png": codecs.encode_png(focus_of(m))}),
    ),
    "colored segments": (
        "segments.png is not a gray PNG",
        lambda m: m.update({f"{KEY}.segments.png": m[f"{KEY}.frame0.png"]}),
    ),
    "PNG for a JPEG": (
        "gt.jpg is not a JPEG",
        lambda m: m.update({f"{KEY}.gt.jpg": m[f"{KEY}.frame0.png"]}),
    ),
    "picture of another sample": (
        "gt.jpg: the JPEG is 56 x 40, not 48 x 64",
        lambda m: m.update({f"{KEY}.gt.jpg": m["000000000003-000.gt.jpg"]}),
    ),
    "segments": ("does not have the areas that the recipe gives", change_pixels("segments.png", 1, 3)),
    "missing member": ("has members .*, not json, gt.jpg", lambda m: m.pop(f"{KEY}.frame1.png")),
    "sigma": ("its recipe is not what its seed draws", change_recipe(lambda r: r["blur"].update(sigma=2.5))),
    "extra field": ("unknown fields in recipe .*: extra", change_recipe(lambda r: r.update(extra=1))),
    "integer for real": (
        "form, that the format does not have",
        change_recipe(lambda r: r["blur"].update(sigma=3)),
    ),
    "other key": (
        "recipe's key is '000000000003-000', its image and variant give '000000000013-000'",
        change_recipe(lambda r: r.update(key="000000000003-000")),
    ),
    "other sample": (
        "its recipe is that of another sample, 000000000003-000",
        lambda m: m.update({f"{KEY}.json": m["000000000003-000.json"]}),
    ),
    "planes beyond the frames": (
        "planes beyond its 2 planes",
        change_recipe(lambda r: r["segments"][0].update(plane=5)),
    ),
    "picture beyond the limit": (
        "gives a picture of 1000000 x 1000000 pixels",
        change_recipe(lambda r: r["image"].update(width=10**6, height=10**6)),
    ),
    "wrong type": (
        r"Expected `int`, got `str` - at `\$.tries`",
        change_recipe(lambda r: r.update(tries="1")),
    ),
    "no recipe": ("recipe is not JSON", lambda m: m.update({f"{KEY}.json": b"{"})),
    "broken picture": (
        "the JPEG ends before its first scan",
        lambda m: m.update({f"{KEY}.gt.jpg": b"\xff\xd8\xff\xd9"}),
    ),
    "orientation": ("its ground truth has an orientation tag", insert("gt.jpg", 2, XMP)),
    "damaged picture": ("the JPEG is damaged: ", drop_bytes("gt.jpg", 300)),
    "broken frame": (
        "it is not a PNG",
        lambda m: m.update({f"{KEY}.frame0.png": b"\x89PNG" + bytes(60)}),
    ),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_sample_is_found_though_every_hash_fits(out: Path, name: str) -> None:
    text, change = FORGERIES[name]
    rewrite(out, change)
    found = problems(out)
    assert f"small-000000.tar sample {KEY}: " in found
    assert re.search(text, found), found


@pytest.fixture
def stacks(small_stacks: Path, tmp_path: Path) -> Path:
    shutil.copytree(small_stacks, tmp_path / "stacks")
    return tmp_path / "stacks"


def test_whole_stacks_pass(small_stacks: Path, small_stack_recipes: Path, cli: Cli) -> None:
    for folder, maps in ((small_stacks, True), (small_stack_recipes, False)):
        result = verify(folder, samples=18, workers=1)
        assert result.problems == ()
        assert (result.rendered, result.targets.values > 0) == (18, maps)
        assert (result.comparison.differing, result.targets.differing) == (0, 0)
    said = cli("verify", small_stacks, "--samples", 2)
    assert re.search(r"values differ, and 0 of [\d,]+ pixels of the targets\n", said.stdout), said.stdout


def swap_members(field: str, other: str) -> Callable[[Members], None]:
    def change(members: Members) -> None:
        one, two = f"{KEY}.{field}", f"{KEY}.{other}"
        members[one], members[two] = members[two], members[one]

    return change


def fill(field: str, value: int, count: int) -> Callable[[Members], None]:
    def change(members: Members) -> None:
        array = codecs.decode_png(members[f"{KEY}.{field}"]).copy()
        array.reshape(-1)[:count] = value
        members[f"{KEY}.{field}"] = codecs.encode_png(array)

    return change


FORGED_STACKS: dict[str, tuple[str, Callable[[Members], object]]] = {
    "nearest": ("rendered again, .* pixels of nearest.png differ", fill("nearest.png", 9, 400)),
    "nearest beyond the frames": (
        "nearest.png has values beyond the sample's 12 frames",
        fill("nearest.png", 12, 1),
    ),
    "certain": ("rendered again, .* pixels of certain.png differ", fill("certain.png", 7, 40)),
    "colored certain": (
        "certain.png is not a gray PNG",
        lambda m: m.update({f"{KEY}.certain.png": m[f"{KEY}.frame0.png"]}),
    ),
    "certain of 16 bits": (
        "certain.png is not a map of 8 bits",
        lambda m: m.update(
            {f"{KEY}.certain.png": codecs.encode_png(focus_of(m).astype(np.uint16) + np.uint16(256))}
        ),
    ),
    "exchanged targets": ("", swap_members("nearest.png", "certain.png")),
    "frames in another order": (
        "rendered again, .* values differ",
        swap_members("frame1.png", "frame10.png"),
    ),
    "no targets": ("has members .*, not json, ", lambda m: m.pop(f"{KEY}.nearest.png")),
    "a frame more": (
        "has members .*, not json, ",
        lambda m: m.update({f"{KEY}.frame12.png": m[f"{KEY}.frame1.png"]}),
    ),
}


@pytest.mark.parametrize("name", FORGED_STACKS)
def test_a_forged_stack_is_found_though_every_hash_fits(stacks: Path, name: str) -> None:
    text, change = FORGED_STACKS[name]
    rewrite(stacks, change)
    found = problems(stacks)
    assert f"small-000000.tar sample {KEY}: " in found
    assert re.search(text, found), found


DRAWN: dict[str, Callable[[dict], object]] = {
    "swapped planes": lambda r: [s.update(plane=1 - s["plane"]) for s in r["segments"]],
    "sigma": lambda r: r["blur"].update(sigma=r["blur"]["sigma"] / 2),
    "kernel": lambda r: r["blur"].update(kernel="foo"),
    "noise": lambda r: r["frames"][1].update(noise_sigma=0.5),
    "noise key": lambda r: r["frames"][1].update(noise_key="00" * 16),
    "seed": lambda r: r.update(seed=1),
    "tries": lambda r: r.update(tries=77),
}


@pytest.mark.parametrize("name", DRAWN)
def test_every_recipe_is_drawn_again_not_only_those_that_are_rendered(recipes: Path, name: str) -> None:
    rewrite(recipes, change_recipe(DRAWN[name]))
    assert f"small-000000.tar sample {KEY}: its recipe is not what its seed draws" in problems(recipes, 0)


OUT_OF_BOUNDS: dict[str, Callable[[dict], object]] = {
    "plane 300": lambda r: r["segments"][0].update(plane=300),
    "plane -1": lambda r: r["segments"][0].update(plane=-1),
    "sigma 0": lambda r: r["blur"].update(sigma=0.0),
    "sigma -1": lambda r: r["blur"].update(sigma=-1.0),
    "sigma 1e9": lambda r: r["blur"].update(sigma=1e9),
    "noise -0.5": lambda r: r["frames"][0].update(noise_sigma=-0.5),
    "noise key": lambda r: r["frames"][0].update(noise_key="no hex"),
    "variant -4": lambda r: r.update(variant=-4),
    "no segments": lambda r: r.update(segments=[]),
    "no frames": lambda r: r.update(frames=[]),
    "256 frames": lambda r: r.update(frames=r["frames"] * 128),
    "empty segment": lambda r: r["segments"][0].update(area=0),
}


@pytest.mark.parametrize("name", OUT_OF_BOUNDS)
def test_a_recipe_out_of_bounds_is_named_by_verify_open_and_stats(recipes: Path, name: str) -> None:
    rewrite(recipes, change_recipe(OUT_OF_BOUNDS[name]))
    assert f"small-000000.tar sample {KEY}: the recipe is malformed: Expected" in problems(recipes)
    named = f"small-000000.tar: sample {KEY}: the recipe is malformed: Expected"
    with pytest.raises(ShardError, match=named):
        list(mfsynth.open(recipes))
    with pytest.raises(ShardError, match=named):
        collect(str(recipes), lambda _done, _total: None)


def test_changed_options_are_found_by_their_fingerprint(out: Path) -> None:
    options = json.loads((out / "manifest.json").read_text())["options"]
    forge_manifest(out, options=options | {"limit": 99})
    assert "manifest.json has options that do not match its options_fingerprint" in problems(out, 0)


@pytest.mark.parametrize("fingerprint", ["zz", "", "0" * 64])
def test_a_wrong_fingerprint_of_the_options_is_found(out: Path, fingerprint: str) -> None:
    forge_manifest(out, options_fingerprint=fingerprint)
    assert "manifest.json has options that do not match its options_fingerprint" in problems(out)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sigma", ["a", 5]),
        ("sigma", 5),
        ("noise", [0, 0, 0]),
        ("seed", None),
        ("min_area", "0"),
    ],
)
def test_malformed_options_are_an_error(out: Path, name: str, value: object, cli: Cli) -> None:
    options = json.loads((out / "manifest.json").read_text())["options"]
    forge_manifest(out, options=options | {name: value})
    run = cli("verify", out)
    assert run.returncode == 1
    assert "the build options are malformed: " in run.stderr
    assert name in run.stderr
    assert "Traceback" not in run.stderr


def test_each_run_renders_other_samples_unless_it_is_given_a_seed(out: Path) -> None:
    """One sample of eighteen is forged: by some seeds it is among the four that are rendered."""
    first, second = verify(out, samples=4, workers=1), verify(out, samples=4, workers=1)
    assert (first.rendered, second.rendered) == (4, 4)
    assert first.seed != second.seed
    rewrite(out, change_pixels("frame1.png", 3, 5))
    found = [bool(verify(out, samples=4, seed=seed, workers=1).problems) for seed in range(8)]
    assert {True, False} == set(found)
    assert found == [bool(verify(out, samples=4, seed=seed, workers=1).problems) for seed in range(8)]


def test_the_command_says_by_which_seed_and_repeats_it(small_recipes: Path, cli: Cli) -> None:
    said = cli("verify", small_recipes, "--samples", 3)
    assert re.search(r"all drawn again, 3 rendered again \(--seed \d+\)", said.stdout), said.stdout
    report = json.loads(cli("verify", small_recipes, "--samples", 3, "--seed", 41, "--json").stdout)
    assert (report["seed"], report["rendered"]) == (41, 3)


def test_one_grey_level_in_a_hundred_thousand_is_tolerated() -> None:
    stored = np.full((250, 400, 3), 7, np.uint8)
    rendered = stored.copy()
    rendered[:3, 0, 0] += 1
    assert compare(stored, rendered) == Comparison(300_000, 3, 1)
    assert compare(stored, rendered).tolerable
    rendered[3, 0, 0] += 1
    assert not compare(stored, rendered).tolerable
    rendered = stored.copy()
    rendered[0, 0, 0] += 2
    assert not compare(stored, rendered).tolerable


def test_one_pixel_of_a_map_in_a_hundred_thousand_is_tolerated_whatever_it_says() -> None:
    stored = np.zeros((500, 400), np.uint8)
    rendered = stored.copy()
    rendered[0, :2] = 31
    compared = compare(stored, rendered)
    assert compared.few(compared.differing)
    rendered[9, 0] = 1
    compared = compare(stored, rendered)
    assert not compared.few(compared.differing)


def test_what_a_jpeg_makes_of_one_differing_value_is_tolerated() -> None:
    """The value changes its block, and colors of the blocks around it; a second place is too many."""
    rng = np.random.default_rng(2)
    frame = cv2.resize(rng.integers(0, 256, (8, 8, 3), np.uint8), (160, 160), interpolation=cv2.INTER_CUBIC)
    touched = []
    for place in [(80, 80), (95, 96), (64, 79)]:
        changed = frame.copy()
        changed[place] ^= 1
        one, other = (
            cv2.imdecode(cv2.imencode(".jpg", each, [cv2.IMWRITE_JPEG_QUALITY, 98])[1], cv2.IMREAD_COLOR)
            for each in (frame, changed)
        )
        blocks, compared = differing_blocks(one, other), compare(one, other)
        touched.append(blocks)
        assert compared.few_blocks(blocks)
    assert max(touched) > 0
    assert not compared.few_blocks(10)
    assert differing_blocks(frame, 255 - frame) == 100


def test_shards_in_the_wrong_place_are_found(out: Path) -> None:
    manifest = json.loads((out / "manifest.json").read_text())
    manifest["shards"][0], manifest["shards"][1] = manifest["shards"][1], manifest["shards"][0]
    (out / "manifest.json").write_text(json.dumps(manifest))
    assert "does not follow" in problems(out, 0)


def test_the_command_lists_problems_and_fails(out: Path, cli: Cli) -> None:
    (out / "small-000001.tar").unlink()
    run = cli("verify", out, "--quiet")
    assert run.returncode == 1
    assert run.stdout.splitlines()[0] == "small-000001.tar is missing"
    assert "--repair` rebuilds the bad shards" in run.stdout
    assert "Traceback" not in run.stderr


def test_repair_makes_the_bad_shards_again_and_only_them(
    out: Path, small_pairs: Path, small_coco: Path, cli: Cli
) -> None:
    rewrite_time = (out / "small-000000.tar").stat().st_mtime_ns
    (out / "small-000001.tar").unlink()
    (out / "small-000002.tar").write_bytes(b"x" * 5000)
    run = cli("verify", out, "--repair", "--coco", small_coco)
    assert run.returncode == 0, run.stderr
    assert "small-000001.tar is missing" in run.stderr
    assert "small-000002.tar has 5000 bytes, the manifest says" in run.stderr
    assert "rebuilt 2 of 3 shards" in run.stderr
    assert tree(out) == tree(small_pairs)
    assert (out / "small-000000.tar").stat().st_mtime_ns == rewrite_time


def test_repair_makes_stacks_again(stacks: Path, small_stacks: Path, small_coco: Path, cli: Cli) -> None:
    rewrite(stacks, FORGED_STACKS["nearest"][1])
    before = Manifest.read(small_stacks).to_json()
    (stacks / "manifest.json").write_bytes(before)
    (stacks / "small-000001.tar").unlink()
    run = cli("verify", stacks, "--repair", "--coco", small_coco)
    assert run.returncode == 0, run.stderr
    assert "rebuilt 2 of 3 shards" in run.stderr
    assert tree(stacks) == tree(small_stacks)


def test_json_tells_what_was_repaired(out: Path, small_coco: Path, cli: Cli) -> None:
    (out / "small-000001.tar").unlink()
    run = cli("verify", out / "manifest.json", "--repair", "--coco", small_coco, "--json")
    assert (run.returncode, run.stderr) == (0, "")
    report = json.loads(run.stdout)
    assert report["ok"] is True
    assert report["problems"] == []
    assert report["repaired"] == [{"shard": "small-000001.tar", "text": "is missing"}]


def test_a_failed_repair_has_told_what_is_wrong(out: Path, tmp_path: Path, cli: Cli) -> None:
    (out / "small-000001.tar").unlink()
    run = cli("verify", out, "--repair", "--coco", tmp_path / "nowhere")
    assert run.returncode == 1
    assert "small-000001.tar is missing" in run.stderr
    assert "nowhere; give COCO's folder" in run.stderr


def test_repair_needs_the_same_data(out: Path, small_coco: Path, tmp_path: Path, cli: Cli) -> None:
    shutil.copytree(small_coco, tmp_path / "coco")
    (tmp_path / "coco" / "small" / "000000000003.jpg").unlink()
    (out / "small-000001.tar").unlink()
    run = cli("verify", out, "--repair", "--coco", tmp_path / "coco")
    assert run.returncode == 1
    assert "was made from other data; it differs in the names and sizes of the pictures" in run.stderr


def test_a_data_set_may_be_named_by_its_manifest(out: Path) -> None:
    (out / "manifest.json").rename(out / "mine.json")
    result = verify(out / "mine.json", workers=1)
    assert (result.problems, result.shards) == ((), 3)


def test_a_file_url_is_a_local_folder(small_recipes: Path, cli: Cli) -> None:
    uri = small_recipes.as_uri()
    assert verify(uri, samples=0, workers=1, seed=0) == verify(small_recipes, samples=0, workers=1, seed=0)
    for command in (("verify", uri, "--samples", 0), ("info", uri), ("stats", f"{uri}/manifest.json")):
        run = cli(*command)
        assert run.returncode == 0, run.stderr
    assert content_of(uri) == content_of(small_recipes)


def test_a_path_that_no_folder_can_have_is_one_line(cli: Cli) -> None:
    run = cli("verify", "v" * 5000)
    assert run.returncode == 1
    assert "File name too long" in run.stderr
    assert run.stderr.count("\n") == 1


def test_a_folder_that_is_no_data_set_is_named(tmp_path: Path, cli: Cli) -> None:
    run = cli("verify", tmp_path)
    assert run.returncode == 1
    assert "manifest.json is not there: this is not a finished data set" in run.stderr
