"""Scores as text: CSV, tables, noise, leaderboard among published methods."""

import csv
import io
import json
import re

import numpy as np
import pytest

from zoo.errors import ZooError
from zoo.evaluation import leaderboard, noise, paper, tables
from zoo.evaluation.ranks import rank
from zoo.evaluation.scores import Row, Scores
from zoo.metrics.measures import QUALITY


def scores(values, noise=(), measure="psnr"):
    """Scores of one measure, methods by name, a value an image."""
    images = tuple(f"i{number}" for number in range(len(next(iter(values.values())))))
    rows = [
        Row(image, name, {measure: column[k]})
        for k, image in enumerate(images)
        for name, column in values.items()
    ]
    return Scores("made up", images, tuple(values), tuple(rows), noise)


def test_the_csv_gives_every_bit_back():
    given = scores({"x": [1 / 3, np.nan], "y, z": [0.1 + 0.2, 1e-300]})
    rows = list(csv.DictReader(io.StringIO(tables.csv_of(given))))
    assert [(row["image"], row["method"]) for row in rows] == [(r.image, r.method) for r in given.rows]
    assert [float(row["psnr"]) if row["psnr"] else np.nan for row in rows] == pytest.approx(
        [1 / 3, 0.1 + 0.2, np.nan, 1e-300], rel=0, abs=0, nan_ok=True
    )


def test_scores_come_back_from_their_csv():
    given = scores({"x": [1 / 3, np.nan], "y, z": [0.1 + 0.2, 1e-300]}, noise=(0.0, 0.1))
    back = tables.scores_of(tables.csv_of(given), "made up")
    assert (back.images, back.methods, back.noise, back.data) == (
        given.images, given.methods, given.noise, given.data,
    )  # fmt: skip
    np.testing.assert_array_equal(back.table("psnr"), given.table("psnr"))
    assert tables.csv_of(back) == tables.csv_of(given)


def test_means_and_sample_deviations_by_hand():
    given = scores({"x": [30.0, 32.0, 37.0], "y": [40.0, np.nan, 44.0]})
    assert tables.markdown_of(given, {}).splitlines() == [
        "|  | PSNR, dB |",
        "| --- | ---: |",
        "| x | 33.00 |",
        "| y | **42.00 (2 of 3)** |",
    ]
    x, y = csv.DictReader(io.StringIO(tables.means_csv_of(given)))
    assert (x["method"], x["measure"], x["images"]) == ("x", "psnr", "3")
    assert (float(x["mean"]), float(x["sd"])) == (33.0, pytest.approx(13**0.5))
    assert (float(y["mean"]), float(y["sd"]), y["images"]) == (42.0, pytest.approx(8**0.5), "2")


def test_less_is_better_for_the_difference_of_both_orders():
    text = tables.markdown_of(scores({"x": [1e-3, 3e-3], "y": [1e-5, 3e-5]}, measure="swap_mean"), {})
    assert "| swap, mean ↓ |" in text
    assert "| y | **2.0e-05** |" in text


def test_all_that_are_best_are_bold_and_bars_do_not_break_the_table():
    text = tables.markdown_of(scores({"x|y": [30.0, 32.0], "y": [30.0, 32.0], "z": [1.0, 2.0]}), {})
    assert text.count("**31.00**") == 2
    assert "| x\\|y | **31.00** |" in text


def test_the_papers_values_stand_below_ours():
    text = tables.markdown_of(
        scores({"gff": [1.0, 1.2], "mine": [1.1, 1.3]}, measure="q_mi"), paper.printed("lytro")
    )
    assert "| gff | 1.1000 |\n| *paper* | *1.0932* |\n| mine |" in text
    assert "paper" not in tables.markdown_of(scores({"mine": [1.0]}, measure="q_mi"), paper.printed("lytro"))


def test_the_papers_tables_are_whole():
    for kind in ("lytro", "shards"):
        table = paper.printed(kind)
        assert set(table) == {"cnn", "dct+cv", "dct", "gff", "im", "hf-reg", "hf-seg"}
        assert all(set(values) == set(QUALITY) for values in table.values())
    assert paper.printed("pairs") == {}
    assert paper.seconds()["gff"] == {520: 0.1280, 260: 0.0373, 130: 0.0149}


def test_ranks_as_a_table_from_the_best():
    rng = np.random.default_rng(0)
    values = {"good": rng.normal(40, 1, 12), "middle": rng.normal(35, 1, 12), "bad": rng.normal(30, 1, 12)}
    lines = tables.ranks_of(rank(scores(values))).splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:5]] == ["good", "middle", "bad"]
    assert "| good | 1.00 |" in lines[2]
    assert lines[-1] == "| *stacks ranked* | 12 |"


def test_too_little_to_rank_is_said():
    assert "Too few" in tables.ranks_of(rank(scores({"x": [1.0, 2.0]})))


# --- noise --------------------------------------------------------------------------------------------


def test_few_levels_of_noise_stand_for_themselves():
    given = scores({"x": [40.0, 30.0, 42.0, 32.0]}, noise=(0.0, 0.1, 0.0, 0.1))
    curve = noise.noise_curve(given, "psnr")
    assert curve.levels == (0.0, 0.1)
    assert curve.counts == (2, 2)
    assert curve.means == {"x": (41.0, 31.0)}


def test_many_levels_are_put_together_and_none_is_lost():
    levels = tuple(np.linspace(0, 0.1, 41))
    given = scores({"x": [50 - 100 * level for level in levels]}, noise=levels)
    curve = noise.noise_curve(given, "psnr")
    assert sum(curve.counts) == 41
    assert list(curve.means["x"]) == pytest.approx([50 - 100 * level for level in curve.levels])


def test_without_differences_in_noise_there_is_no_curve():
    assert noise.noise_curve(scores({"x": [1.0, 2.0]}), "psnr") is None
    assert noise.noise_curve(scores({"x": [1.0, 2.0]}, noise=(0.1, 0.1)), "psnr") is None


# --- leaderboard -----------------------------------------------------------------------------------------


def test_the_published_order_comes_out_of_the_published_values(shared_golden):
    """Ranks among these 21 and the paper's columns: best and worst as in the survey's own table."""
    path = shared_golden / "lytro_methods.json"
    text = leaderboard.markdown_of(
        Scores("Lytro", (), (), ()), leaderboard.read_published(path, 20), paper.printed("lytro")
    )
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()[2:]]
    assert [row[0] for row in rows[:3]] == ["srcf", "dsift", "brw"]
    assert rows[-1][0] == "dct (the paper)"
    assert len(rows) == 21 + 5
    means = {row[0]: row[1] for row in rows}
    assert means["cnn"] == "1.1467"
    assert [float(row[-1]) for row in rows] == sorted(float(row[-1]) for row in rows)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[]", "holds no published values"),
        ("[" * 100_000, "holds no published values"),
        ('{"x": {"q_mi": ' + "[" * 100_000, "holds no published values"),
        ('{"x": {"q_mi": [1e999]}}', "holds no published values"),
        (json.dumps({"x": {name: [1.0] for name in QUALITY[1:]}}), "lacks q_mi of x"),
        (json.dumps({"x": {name: [1.0] for name in QUALITY}}), "for each of the 2 pairs"),
    ],
)
def test_what_is_no_published_file_is_refused(content, said, tmp_path):
    path = tmp_path / "published.json"
    path.write_text(content)
    with pytest.raises(ZooError, match=re.escape(said)):
        leaderboard.read_published(path, 2)


def test_names_of_published_methods_stay_in_their_cells(tmp_path):
    path = tmp_path / "published.json"
    name = "a|b\n\n# Owned\n<script>"
    path.write_text(
        json.dumps(
            {name: {each: [1.0, 2.0] for each in QUALITY}, "x": {each: [1.0, 1.0] for each in QUALITY}}
        )
    )
    table = leaderboard.markdown_of(Scores("x", (), (), ()), leaderboard.read_published(path, 2), {})
    rows = table.splitlines()
    assert len(rows) == 4
    assert all(row.replace("\\|", "").count("|") == len(QUALITY) + 3 for row in rows)
    assert "<script" not in table
