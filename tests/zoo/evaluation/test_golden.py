"""Values of the toolbox that the paper's numbers come from, run unchanged under GNU Octave."""

import hashlib
import json
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import SHARED

from zoo.metrics import FramePair, gray, q_cb, q_g, q_mi, q_ncie, q_p, q_s, q_te, ssim

GOLDEN = Path(__file__).parent / "golden"
CASES = json.loads((GOLDEN / "values.json").read_text())
LARGE = SHARED / "golden" / "metrics.json"
METRICS = [q_mi, q_te, q_ncie, q_g, q_p, q_s, q_cb]
MODES = {"mean3": "mean", "luma": "luma"}


def case(name):
    return [cv2.imread(str(GOLDEN / f"{name}-{role}.png"), cv2.IMREAD_GRAYSCALE) for role in "abf"]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.__name__)
def test_metric(name, metric):
    assert metric(*case(name)) == pytest.approx(CASES[name][metric.__name__], rel=0, abs=1e-9)


@pytest.mark.parametrize("name", CASES)
def test_ssim(name):
    a, b, fused = case(name)
    assert ssim(a, fused) == pytest.approx(CASES[name]["ssim_af"], rel=0, abs=1e-9)
    assert ssim(b, fused) == pytest.approx(CASES[name]["ssim_bf"], rel=0, abs=1e-9)


@pytest.mark.parametrize("name", CASES)
def test_features_that_are_kept_score_alike(name):
    """To the bit, whatever was scored before."""
    a, b, fused = case(name)
    pair = FramePair(a, b)
    pair.score(b)
    assert pair.score(fused) == {metric.__name__: metric(a, b, fused) for metric in METRICS}


@lru_cache(maxsize=4)
def image(path, mode):
    picture = cv2.imread(str(SHARED / path), cv2.IMREAD_UNCHANGED)
    return picture if picture.ndim == 2 else gray(picture[..., ::-1], mode)


@lru_cache(maxsize=1)
def frame_pair(a, b, mode):
    return FramePair(image(a, mode), image(b, mode))


def lytro():
    """Every fourth is quick: whole pictures only add to the small ones above that nothing depends on size."""
    cases = json.loads(LARGE.read_text())["lytro"] if LARGE.is_file() else []
    return [
        pytest.param(golden, id=golden["name"], marks=[pytest.mark.slow] if number % 4 else [])
        for number, golden in enumerate(cases)
    ]


@pytest.mark.skipif(not LARGE.is_file(), reason="the Lytro pairs are not beside this checkout")
@pytest.mark.parametrize("golden", lytro())
def test_lytro(golden):
    mode = MODES[golden["gray"]]
    for role in "abf":
        found = hashlib.sha256(np.ascontiguousarray(image(golden[role], mode)).tobytes()).hexdigest()
        assert found == golden["sha256"][role]
    scores = frame_pair(golden["a"], golden["b"], mode).score(image(golden["f"], mode))
    assert scores == pytest.approx({name: golden["values"][name] for name in scores}, rel=0, abs=1e-9)


@pytest.mark.slow
@pytest.mark.skipif(not LARGE.is_file(), reason="the Lytro pairs are not beside this checkout")
@pytest.mark.parametrize("method", ["gff", "cnn"])
def test_the_papers_table(method):
    """Table II, columns GFF and CNN: every pair."""
    golden = json.loads(LARGE.read_text())["table2"][method]["per_pair"]
    for number in range(20):
        name = f"lytro-{number + 1:02d}"
        pair = [image(f"lytro/{name}-{side}.jpg", "mean") for side in "AB"]
        scores = FramePair(*pair).score(image(f"golden/lytro_{method}/{name}.png", "mean"))
        expected = {metric: values[number] for metric, values in golden.items()}
        assert scores == pytest.approx(expected, rel=0, abs=1e-9), name
