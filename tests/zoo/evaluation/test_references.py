"""The best choices of a frame: by hand, and beside the methods without being one of them."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mfsynth.codecs import encode_png
from mfsynth.errors import OptionsError
from zoo.evaluation import tables
from zoo.evaluation.data import Stack, open_data
from zoo.evaluation.measure import Measured
from zoo.evaluation.methods import parse_methods
from zoo.evaluation.ranks import rank
from zoo.evaluation.references import oracle, pictures_of, right_decision
from zoo.evaluation.report.tables import summary_table
from zoo.evaluation.run import run
from zoo.evaluation.scores import Row, Scores
from zoo.networks import Config, Network
from zoo.store.folder import save_folder

SMALL = Config(task="seg", architecture="focus-set", width=3, depth=1, upsampling="bilinear")


def flat(*colors):
    """A picture one pixel high."""
    return np.array([colors], np.uint8)


def test_the_oracle_takes_the_nearest_pixel_and_of_equally_near_ones_the_first():
    truth = flat((100, 100, 100), (0, 0, 0), (50, 50, 50), (255, 0, 0))
    frames = (
        flat((110, 100, 100), (9, 0, 0), (49, 50, 50), (0, 0, 0)),
        flat((106, 107, 100), (0, 0, 8), (51, 50, 50), (255, 200, 0)),
        flat((100, 100, 109), (6, 6, 6), (50, 51, 50), (255, 0, 99)),
    )
    expected = flat((106, 107, 100), (0, 0, 8), (49, 50, 50), (255, 0, 99))
    expected[0, 0] = (100, 100, 109)  # 81 against 85 and 100
    assert np.array_equal(oracle(Stack("s", frames, truth)), expected)


def test_the_right_decision_copies_what_nearest_names():
    truth, frames = flat((9, 9, 9), (9, 9, 9)), (flat((0, 0, 0), (1, 1, 1)), flat((9, 9, 9), (9, 9, 9)))
    stack = Stack("s", frames, truth, nearest=np.array([[0, 1]], np.uint8))
    assert np.array_equal(right_decision(stack), flat((0, 0, 0), (9, 9, 9)))
    assert [*pictures_of(stack)] == ["oracle", "right-decision"]
    assert [*pictures_of(Stack("s", frames, truth))] == ["oracle"]
    assert not pictures_of(Stack("s", frames, nearest=stack.nearest))


@given(
    arrays(np.uint8, (3, 6, 5, 3)),
    arrays(np.uint8, (6, 5, 3)),
    arrays(np.uint8, (6, 5), elements=st.integers(0, 2)),
)
def test_no_choice_of_frames_is_nearer_to_the_truth(frames, truth, choice):
    chosen = np.take_along_axis(frames, choice[None, ..., None].astype(np.intp), 0)[0]
    best = oracle(Stack("s", tuple(frames), truth))
    error, bound = (np.square(each.astype(int) - truth).sum(axis=2) for each in (chosen, best))
    assert (bound <= error).all()
    assert any(np.array_equal(best[0, 0], frame[0, 0]) for frame in frames)


def scores(images=4):
    """Two methods, and an oracle that is better than both."""
    values = {"good": 30.0, "bad": 20.0, "worse": 10.0, "oracle": 40.0}
    rows = tuple(
        Row(f"{k}", name, {"psnr": value + k} | ({} if name == "oracle" else {"q_mi": value}))
        for k in range(images)
        for name, value in values.items()
    )
    return Scores("made up", tuple(map(str, range(images))), ("good", "bad", "worse"), rows, (), ("oracle",))


def test_a_reference_has_a_row_and_neither_a_rank_nor_the_best_value():
    given = scores()
    assert tables.markdown_of(given, {}, ["psnr"]).splitlines()[2:] == [
        "| good | **31.50** |",
        "| bad | 21.50 |",
        "| worse | 11.50 |",
        "| oracle | 41.50 |",
    ]
    assert "oracle" not in tables.markdown_of(given, {}, ["q_mi"])
    assert "oracle" not in tables.ranks_of(rank(given))
    assert rank(given).tests["psnr"].ranks.tolist() == [1, 2, 3]
    cells = {row[0].text: row[-1].style for row in summary_table(given, {}).tables[0].rows}
    assert cells == {"good": "best", "bad": "", "worse": "", "oracle": ""}
    back = tables.scores_of(tables.csv_of(given), "made up")
    assert (back.methods, back.references) == (given.methods, given.references)
    assert "oracle,psnr,41.5," in tables.means_csv_of(given)


def test_no_method_has_the_name_of_a_reference():
    for text in ("oracle=average", "right-decision=average"):
        with pytest.raises(OptionsError, match="is the best choice of a frame"):
            parse_methods([text])


def test_a_network_for_sets_is_a_method_for_stacks_of_three(tmp_path):
    """It fuses all frames at once; any order gives the same picture, and the oracle is better."""
    torch.manual_seed(0)
    save_folder(tmp_path / "net", Network(SMALL))
    rng = np.random.default_rng(0)
    (tmp_path / "set").mkdir()
    for role in ("A", "B", "C", "GT"):
        (tmp_path / "set" / f"s_{role}.png").write_bytes(
            encode_png(rng.integers(0, 256, (32, 40, 3), np.uint8))
        )
    data = open_data(f"stacks:{tmp_path / 'set'}")
    found = run(parse_methods([f"ours={tmp_path / 'net'}"]), data, tmp_path / "out").scores
    values = {row.method: row.values for row in found.rows}
    assert (found.methods, found.references) == (("ours",), ("oracle",))
    assert values["ours"]["swap_max"] == 0
    assert values["ours"]["psnr"] < values["oracle"]["psnr"]
    with pytest.raises(OptionsError, match=r"has no variant \+single; its one pass does not depend"):
        parse_methods([f"{tmp_path / 'net'}+single"])
    stack = data.load("s")
    assert values["oracle"] == Measured(stack).against_truth(oracle(stack))
