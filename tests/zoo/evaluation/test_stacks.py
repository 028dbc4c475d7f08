"""Stacks of more than two frames, samples with a rim that no frame shows, and frames that do not lie on one
another: from the data to the report.
"""

import csv
import json
import re
from dataclasses import replace

import cv2
import numpy as np
import pytest

import mfsynth
from mfsynth.building.run import Run, build
from mfsynth.errors import OptionsError
from mfsynth.options import BuildOptions
from zoo.errors import AlignmentError
from zoo.evaluation.data import Stack, _moves, noise_level, open_data
from zoo.evaluation.evaluate import evaluate
from zoo.evaluation.measure import Measured
from zoo.evaluation.methods import parse_methods
from zoo.evaluation.options import EvaluateOptions, evaluate_command
from zoo.evaluation.run import run
from zoo.evaluation.scores import Row, Scores
from zoo.evaluation.times import Time, conditions
from zoo.evaluation.times import markdown_of as times_table
from zoo.fusing.fuse_frames import Fused
from zoo.loading import load
from zoo.metrics import psnr
from zoo.metrics.measures import MEASURES, QUALITY, brief, shown
from zoo.stacks.fuse import fuse_stack

OPTICS = {"frames": 4, "kernel": "disk", "radius": (2.0, 4.0), "light": "linear", "limit": 3, "shards": 1}


@pytest.fixture(scope="module")
def stacks(small_coco, tmp_path_factory):
    """Three stacks of four frames, blurred by a disk in linear light."""
    out = tmp_path_factory.mktemp("stacks") / "set"
    build(BuildOptions("small", **OPTICS), Run(small_coco, out, workers=1))
    return out


def scene(height=120, width=160, seed=0):
    """A smooth texture, H x W x 3."""
    rng = np.random.default_rng(seed)
    return cv2.GaussianBlur(rng.integers(0, 256, (height, width, 3), np.uint8), None, 1.2)


def moved(picture, shift):
    """A picture whose content is a few pixels to the right and down."""
    matrix = np.array([[1, 0, shift], [0, 1, shift]], np.float64)
    size = picture.shape[1::-1]
    return cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)


def save(path, pixels):
    assert cv2.imwrite(str(path), pixels[..., ::-1])


# --- data ---------------------------------------------------------------------------------------------


def test_shards_give_every_frame_and_what_a_decision_should_be(stacks):
    data = open_data(f"shards:{stacks}")
    assert (data.split, data.variant, data.title) == (
        "small",
        ("optics", "4 frames"),
        "small, optics, 4 frames",
    )
    for sample in mfsynth.open(stacks):
        stack = data.load(sample.key)
        assert all(np.array_equal(*each) for each in zip(stack.frames, sample.frames, strict=True))
        assert np.array_equal(stack.target, sample.nearest)
        assert np.array_equal(stack.certain, sample.certain)


def test_the_papers_pairs_are_certain_everywhere(small_pairs):
    data = open_data(f"shards:{small_pairs}")
    stack = data.load(data.names[0])
    assert data.variant == ()
    assert data.title == "small"
    assert stack.certain is None
    assert stack.target is stack.focus


def test_a_folder_of_stacks_goes_on_after_b(tmp_path):
    pictures = {role: scene(seed=k) for k, role in enumerate(("A", "B", "C", "D", "GT"))}
    for role, picture in pictures.items():
        save(tmp_path / f"four_{role}.png", picture)
    for role in "AB":
        save(tmp_path / f"two-{role}.png", pictures[role])
    for role in "ACE":
        save(tmp_path / f"gaps_{role}.png", pictures["A"])
    data = open_data(f"stacks:{tmp_path}")
    assert data.names == ("four", "two")
    assert data.incomplete == {"gaps": "its pictures B and D are missing"}
    four = data.load("four")
    assert [np.array_equal(*each) for each in zip(four.frames, pictures.values(), strict=False)] == [True] * 4
    assert np.array_equal(four.truth, pictures["GT"])
    assert len(data.load("two").frames) == 2
    pairs = open_data(f"pairs:{tmp_path}")
    assert len(pairs.load("four").frames) == 2  # as ever: the other letters are not frames of a pair


def test_a_frame_after_z_is_refused_and_not_ignored(tmp_path):
    for role in (*"ABCDEFGHIJKLMNOPQRSTUVWXYZ", "AA"):
        save(tmp_path / f"long_{role}.png", scene(16, 16))
    save(tmp_path / "two_A.png", scene(16, 16))
    save(tmp_path / "two_B.png", scene(16, 16))
    save(tmp_path / "two_AA.png", scene(16, 16))
    save(tmp_path / "other_aa.png", scene(16, 16))
    with pytest.raises(OptionsError, match=r"long_AA\.png is one frame too many.*at most 26 frames"):
        open_data(f"stacks:{tmp_path}")
    (tmp_path / "long_AA.png").unlink()
    data = open_data(f"stacks:{tmp_path}")
    assert (data.names, data.incomplete) == (("long", "two"), {})
    assert [len(data.load(name).frames) for name in data.names] == [26, 2]


def test_a_stacks_hash_covers_what_is_scored():
    frames = (scene(), scene(seed=1), scene(seed=2))
    focus = np.zeros((120, 160), np.uint8)
    other = focus.copy()
    other[3, 4] = 1
    given = {"truth": frames[0], "focus": focus, "nearest": focus, "certain": focus}
    whole = Stack("s", frames, **given).digest()
    for name in given:
        assert Stack("s", frames, **given | {name: other}).digest() != whole


def test_noise_of_light_is_that_of_middle_gray(stacks):
    """By simulation: the model applied to gray light, and the curve of IEC 61966-2-1."""
    recipe = next(iter(mfsynth.open(stacks).recipes()))
    optics = replace(recipe.optics, noise_model="poisson-gaussian", shot_noise=4e-4, read_noise=2e-3)
    light = 0.18 + np.random.default_rng(0).normal(0, 1, 200_000) * np.sqrt(4e-4 * 0.18 + 2e-3**2)
    levels = 1.055 * light ** (1 / 2.4) - 0.055
    assert noise_level(replace(recipe, optics=optics)) == pytest.approx(levels.std(), rel=0.02)


# --- measures -----------------------------------------------------------------------------------------


def test_the_rim_is_scored_apart():
    """By hand: errors of 10 levels in the rim, of 1 elsewhere; decisions wrong in half of the rim."""
    truth = np.full((40, 60, 3), 100, np.uint8)
    focus = np.zeros((40, 60), np.uint8)
    focus[:, 30:] = 2
    certain = np.full((40, 60), 255, np.uint8)
    certain[:, 30:40] = 254
    nearest = focus.copy()
    nearest[:20, 30:40] = 1
    fused = truth + np.where(certain == 255, 1, 10)[..., None].astype(np.uint8)
    stack = Stack("s", (truth,) * 3, truth, focus, 0.0, nearest, certain)
    values = Measured(stack).values(Fused(fused, focus, None))
    assert not set(values) & set(QUALITY)
    assert values["psnr_certain"] == pytest.approx(20 * np.log10(255))
    assert values["psnr_rim"] == pytest.approx(20 * np.log10(25.5))
    assert values["psnr_band_certain"] == pytest.approx(20 * np.log10(255))
    assert (values["accuracy_certain"], values["accuracy_rim"]) == (1, 0.5)
    assert values["accuracy"] == pytest.approx(1 - 200 / 2400)
    assert (values["accuracy_band_certain"], values["accuracy_band_rim"]) == (1, 0.5)
    assert values["ssim_rim"] < values["ssim_certain"]
    assert set(values) <= set(MEASURES)


def test_where_no_rim_is_nothing_is_said_of_it():
    truth, focus = scene(), np.zeros((120, 160), np.uint8)
    stack = Stack("s", (truth, truth), truth, focus, 0.0, focus, np.full((120, 160), 255, np.uint8))
    values = Measured(stack).values(Fused(truth, focus, None))
    assert np.isnan(values["psnr_rim"])
    assert values["psnr_certain"] == values["psnr"]
    alone = Scores("x", ("s",), ("m",), (Row("s", "m", values),))
    assert not any(name.endswith(("_rim", "_certain")) for name in alone.measures)
    rim = values | {"psnr_rim": 30.0}
    both = Scores("x", ("s", "t"), ("m",), (Row("s", "m", values), Row("t", "m", rim)))
    assert {"psnr_certain", "psnr_rim"} <= set(both.measures)


def test_parts_have_names_for_people():
    assert brief("psnr_band_rim", 31.2) == "PSNR at edges in the rim 31.20 dB"
    assert shown("ssim_certain", 0.5) == (
        "SSIM of the fused picture where some frame shows the truth",
        "0.5000",
    )
    assert len({measure.label for measure in MEASURES.values()}) == len(MEASURES)


# --- methods ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["gff", "hf-seg", "hf-reg+near"])
def test_aligned_frames_give_frame_0s_geometry(name):
    truth = scene()
    frames = (truth, moved(truth, 3), moved(truth, -2))
    plain, aligned = parse_methods([f"{name},{name}+align"])
    inner = (slice(12, -12), slice(12, -12))
    assert psnr(truth[inner], aligned.fuse(frames).image[inner]) > 40
    assert psnr(truth[inner], plain.fuse(frames).image[inner]) < 35
    stack = Stack("s", frames)
    assert np.array_equal(aligned.fused(stack).image, aligned.fuse(frames).image)
    assert psnr(truth[inner], aligned.swapped(stack).image[inner]) > 40
    assert aligned.identity != plain.identity


def halves(truth, gain=1.0):
    """Two frames, each sharp in one half, the second of another exposure."""
    blurred = cv2.GaussianBlur(truth, None, 3)
    left = np.arange(truth.shape[1])[None, :, None] < truth.shape[1] // 2
    other = np.where(left, blurred, truth) * gain
    return np.where(left, truth, blurred), other.round().astype(np.uint8)


def test_prepared_frames_are_fused_as_mfsynth_fuse_does():
    frames = halves(scene(), gain=0.7)
    bare, method = parse_methods(["hf-seg,hf-seg+prepared"])
    expected = fuse_stack(load("hf-seg"), frames)
    done = method.fused(Stack("s", frames))
    np.testing.assert_array_equal(done.image, expected.image)
    np.testing.assert_array_equal(done.decision, expected.decision)
    np.testing.assert_array_equal(bare.fuse(frames).image, load("hf-seg").fuse(frames).image)
    assert bare.identity != method.identity


def test_where_nothing_is_wrong_preparing_changes_nothing_for_a_classic_method():
    stack = Stack("s", halves(scene()))
    bare, prepared, aligned = parse_methods(["pyramid,pyramid+prepared,pyramid+align+prepared"])
    np.testing.assert_array_equal(prepared.fused(stack).image, bare.fused(stack).image)
    assert psnr(prepared.swapped(stack).image, prepared.fused(stack).image) > 50
    moving = (scene(), moved(scene(), 3))
    inner = (slice(12, -12), slice(12, -12))
    assert psnr(scene()[inner], aligned.fuse(moving).image[inner]) > 40


def test_what_cannot_be_aligned_is_an_error_and_the_stack_is_left_out(tmp_path):
    for name, other in (("good", moved(scene(), 2)), ("odd", scene(seed=5))):
        save(tmp_path / f"{name}_A.png", scene())
        save(tmp_path / f"{name}_B.png", other)
    (method,) = parse_methods(["average+align"])
    with pytest.raises(AlignmentError, match="frame 2 does not match"):
        method.fuse((scene(), scene(seed=5)))
    methods = parse_methods(["average,average+align"])
    outcome = run(methods, open_data(f"pairs:{tmp_path}"), tmp_path / "out", swap=False)
    assert outcome.scores.images == ("good",)
    assert outcome.errors["odd"].startswith("average+align: frame 2 does not match")


def test_the_other_order_of_a_stack_is_the_reversed_one(tmp_path):
    frames = [scene(seed=k) for k in range(3)]
    for letter, frame in zip("ABC", frames, strict=True):
        save(tmp_path / f"s_{letter}.png", frame)
    methods = parse_methods(["hf-seg,average,dummy-a"])
    outcome = run(methods, open_data(f"stacks:{tmp_path}"), tmp_path / "out")
    swaps = dict(zip(outcome.scores.methods, outcome.scores.table("swap_mean")[0], strict=True))
    assert swaps["hf-seg"] == swaps["average"] == 0
    assert swaps["dummy-a"] == pytest.approx(np.square((frames[0].astype(float) - frames[2]) / 255).mean())


# --- the report ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def evaluated(stacks, tmp_path_factory, cli):
    out = tmp_path_factory.mktemp("results") / "out"
    done = cli(
        "evaluate", "--methods", "hf-seg,gff,dct,average", "--data", f"shards:{stacks}", "--out", out,
        "--no-swap", "--limit", 2, "--workers", 1,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return out


def test_an_evaluation_of_stacks(stacks, evaluated):
    with (evaluated / "scores.csv").open() as file:
        rows = {(row["image"], row["method"]): row for row in csv.DictReader(file)}
    assert len(rows) == 2 * 6  # four methods, the oracle and the right decision
    assert not set(next(iter(rows.values()))) & set(QUALITY)
    sample = next(iter(mfsynth.open(stacks)))
    folder = evaluated / "fused"
    decision = cv2.imread(str(folder / "dct" / f"{sample.key}.decision.png"), cv2.IMREAD_UNCHANGED)
    assert float(rows[sample.key, "dct"]["accuracy"]) == np.mean(decision == sample.nearest)
    fused = cv2.imread(str(folder / "gff" / f"{sample.key}.png"))[..., ::-1]
    gff, rim = rows[sample.key, "gff"], sample.certain < 255
    assert rim.any()
    assert float(gff["psnr_rim"]) == pytest.approx(psnr(sample.gt[rim], fused[rim]))
    assert float(gff["psnr_certain"]) == pytest.approx(psnr(sample.gt[~rim], fused[~rim]))
    table = (evaluated / "table.md").read_text()
    assert table.count("| hf-seg |") == 3
    assert "Where no frame shows the truth:" in table
    assert "paper" not in table
    assert not (evaluated / "ranks.png").exists()


def test_the_page_and_the_cards_of_stacks(evaluated):
    html = (evaluated / "index.html").read_text()
    data = json.loads(re.search(r'id="data">(.*?)</script', html, re.DOTALL)[1])
    views = data["scenes"][0]["views"]
    assert [view["name"] for view in views[:5]] == [*(f"frame {k}" for k in range(4)), "ground truth"]
    keys = [view["press"] for view in views]
    assert len(set(keys)) == len(keys)
    assert not set(keys) & {*"despxn+-="}
    assert data["legend"][3] == ["frame 3", "#cc79a7"]
    assert data["slides"] == 4
    assert "error" in views[4]
    (result,) = json.loads((evaluated / "evaluation" / "hf-seg.json").read_text())["results"]
    assert (result["identity"], result["kind"], result["samples"]) == ("small", "optics-4-frames", 2)


def test_the_papers_times_are_those_of_pairs():
    taken = [Time("gff", 520, 0.1, 5, 2)]
    note = conditions([], 2, 4)
    assert "one stack of 4 frames" in note
    assert "paper" not in times_table(taken, note, {})
    assert "paper" in times_table(taken, conditions([], 2))


def test_a_method_that_cannot_align_a_square_has_no_time_there(tmp_path):
    """All texture is at the border, outside the square in the middle."""
    (tmp_path / "set").mkdir()
    for letter in "ABC":
        picture = scene(64, 400)
        picture[:, 160:240] = 128
        save(tmp_path / "set" / f"s_{letter}.png", picture)
    said: list[str] = []
    options = EvaluateOptions(
        ("average,average+align",), f"stacks:{tmp_path / 'set'}", swap=False, times=True
    )
    report = evaluate(options, tmp_path / "out", say=said.append)
    assert "nothing was measured: the ground truth is not known, and the paper's measures need pairs" in said
    sides = [line.partition(":")[0] for line in said if line.startswith("no time of average+align at ")]
    assert [side.rpartition(" ")[2] for side in sides] == ["520²", "260²", "130²"]
    times = (tmp_path / "out" / "times.md").read_text()
    assert "| average |" in times
    assert "average+align" not in times
    assert "index.html" in report.files


def test_a_folder_of_pairs_and_stacks_has_no_leaderboard(tmp_path):
    (tmp_path / "set").mkdir()
    for name in ("pair_A", "pair_B", "three_A", "three_B", "three_C"):
        save(tmp_path / "set" / f"{name}.png", scene(64, 64))
    values = {"theirs": {name: [0.5, 0.5] for name in QUALITY}}
    (tmp_path / "theirs.json").write_text(json.dumps(values))
    said: list[str] = []
    theirs, data = tmp_path / "theirs.json", f"stacks:{tmp_path / 'set'}"
    report = evaluate(
        EvaluateOptions(("average",), data, swap=False, against=theirs), tmp_path / "out", say=said.append
    )
    assert said == ["the paper's measures need pairs, so there is no leaderboard among published methods"]
    assert "leaderboard.md" not in report.files


def test_the_command_has_no_folder_of_this_machine(tmp_path):
    (tmp_path / "try").mkdir()
    texts = (
        f"ours={tmp_path}/try+near+align,{tmp_path}/try",
        f"folder:theirs:{tmp_path}/try",
        "dct+cv+align",
    )
    command = evaluate_command(EvaluateOptions(texts, f"stacks:{tmp_path}/try"), tmp_path / "out")
    assert "--methods ours=try+near+align,try,folder:theirs:try,dct+cv+align " in command


def test_frames_that_move_are_called_so(stacks):
    recipe = next(iter(mfsynth.open(stacks).recipes()))
    still = recipe.optics.frames[0]
    assert not _moves(recipe)
    for change in ({"scale": 1.01}, {"shift_x": 0.5}, {"shift_y": -1.0}, {"rotation": 0.01}):
        shots = (still, *(replace(still, **change),) * 3)
        optics = replace(recipe.optics, frames=shots)
        assert _moves(replace(recipe, optics=optics))
