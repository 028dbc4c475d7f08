import io

import numpy as np
import pytest
from PIL import Image

from mfsynth.plots import Panel, draw_curves
from zoo.evaluation.ranks import Test, rank
from zoo.evaluation.report.figures import boxes, critical_differences
from zoo.evaluation.scores import Row, Scores

BEST = (230, 159, 0)
METHODS = tuple(f"method-{k}" for k in range(14))


def scores(methods=METHODS, images=20):
    """The later a method, the larger all its values."""
    rng = np.random.default_rng(1)
    rows = tuple(
        Row(f"{k}", name, {measure: float(0.1 * m + rng.normal() / 20) for measure in ("q_mi", "swap_mean")})
        for k in range(images)
        for m, name in enumerate(methods)
    )
    return Scores("Lytro", tuple(map(str, range(images))), tuple(methods), rows)


def pixels(png):
    assert png.startswith(b"\x89PNG")
    assert len(png) < 300_000
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def drawn(png):
    """Whether there is something on white, and nothing cut off at the edges."""
    shown = pixels(png)
    edges = (shown[0], shown[-1], shown[:, 0], shown[:, -1])
    return shown.std() > 5 and all((edge == 255).all() for edge in edges)


def test_boxes_mark_the_best_mean_in_the_right_direction():
    """The last of the methods where more is better, the first where less is."""
    shown = pixels(boxes(scores())).astype(int)
    columns = np.nonzero((np.abs(shown - BEST).max(axis=2) < 45).any(axis=0))[0]
    middle = shown.shape[1] / 2
    assert columns.min() / middle == pytest.approx(0.95, abs=0.1)
    assert columns.max() / middle == pytest.approx(1.2, abs=0.1)


def test_methods_without_a_value_have_no_box():
    given = scores(METHODS[:3])
    rows = tuple(
        Row(row.image, row.method, row.values | {"accuracy": np.nan if row.method == METHODS[0] else 0.5})
        for row in given.rows
    )
    assert drawn(boxes(Scores(given.data, given.images, given.methods, rows), ["accuracy", "psnr"]))


def test_one_picture_can_be_drawn():
    assert drawn(boxes(scores(METHODS[:2], images=1)))


@pytest.mark.parametrize("count", [3, 5, 14, 21])
def test_critical_differences(count):
    together = rank(scores([f"method-{k}" for k in range(count)])).together
    assert isinstance(together, Test)
    assert drawn(critical_differences(together, "Lytro"))


def test_hostile_names_are_text():
    """Dollar signs are no formula, and long names are cut."""
    names = ["$\\frac{$", "x" * 300, "<b>_{}</b>", "ß"]
    together = rank(scores(names)).together
    assert isinstance(together, Test)
    for png in (
        critical_differences(together, "$x"),
        boxes(scores(names)),
        draw_curves("$x", [Panel("y$", {name: ([1, 2], [1, 2]) for name in names})], "$"),
    ):
        assert pixels(png).shape[1] < 2500


def test_curves():
    lines = {name: ([0, 5, 10], [30.0 - k, 28.0 - k, np.nan]) for k, name in enumerate(METHODS)}
    assert drawn(draw_curves("noise", [Panel("PSNR, dB", lines), Panel("SSIM", lines)], "σ"))
    losses = {"training": (list(range(200)), np.geomspace(1, 1e-3, 200)), "clean": ([99, 199], [0.1, 0.01])}
    assert drawn(draw_curves("hf-seg", [Panel("loss", losses, log=True)], "step", "a note"))


def test_nothing_yet_can_be_drawn():
    assert drawn(draw_curves("hf-seg", [Panel("loss", {})], "step"))
