import sys

import cv2
import numpy as np
import pytest

from mfsynth.errors import MissingExtraError
from zoo.errors import ZooError
from zoo.evaluation.report.maps import error_map
from zoo.evaluation.report.sheet import WIDTH, write_sheet
from zoo.evaluation.scores import Exhibit

BLUE, ORANGE = (0, 114, 178), (230, 159, 0)


def decoded(sheet):
    assert sheet[:4] == b"RIFF"
    assert sheet[8:12] == b"WEBP"
    return cv2.imdecode(np.frombuffer(sheet, np.uint8), cv2.IMREAD_COLOR)[..., ::-1].astype(int)


def near(pixels, color):
    return np.abs(pixels - color).max(axis=2) < 30


def flat(value, size=(100, 200)):
    return np.full((*size, 3), value, np.uint8)


def pair(name="pair", methods=("gff",), decisions=None, size=(100, 200)):
    frames = flat((200, 0, 0), size), flat((0, 160, 0), size)
    return Exhibit(
        name, frames, None, None, {method: flat((0, 0, 220), size) for method in methods}, decisions or {}
    )


def test_each_picture_stands_there_once_in_its_proportions():
    shown = decoded(write_sheet([pair(methods=("gff", "dct"))]))
    for color, count in (((200, 0, 0), 1), ((0, 160, 0), 1), ((0, 0, 220), 2)):
        area = near(shown, color).sum()
        assert area == pytest.approx(count * WIDTH * WIDTH / 2, rel=0.1)  # a hairline runs around each
    rows, columns = np.nonzero(near(shown, (200, 0, 0)))
    assert np.ptp(columns) / np.ptp(rows) == pytest.approx(2, rel=0.05)


def test_a_column_for_each_method_and_a_block_for_each_pair():
    one, two = (decoded(write_sheet([pair(methods=names)])).shape for names in (("a",), ("a", "b")))
    assert two[1] - one[1] == pytest.approx(WIDTH, abs=10)
    twice = decoded(write_sheet(iter([pair("1"), pair("2")]))).shape
    assert twice[1] == one[1]
    assert 1.8 * one[0] < twice[0] < 2.2 * one[0]


def test_decision_map_stands_below_its_method():
    half = np.zeros((100, 200), np.uint8)
    half[:, 100:] = 1
    shown = decoded(write_sheet([pair(methods=("a", "b"), decisions={"b": half})]))
    blue, orange = near(shown, BLUE), near(shown, ORANGE)
    assert blue.sum() == pytest.approx(orange.sum(), rel=0.1)
    columns = np.nonzero(blue | orange)[1]
    assert columns.min() > shown.shape[1] - WIDTH - 20


def test_all_frames_of_a_stack_stand_there():
    colors = [
        (200, 0, 0),
        (0, 160, 0),
        (160, 160, 0),
        (0, 160, 160),
        (160, 0, 160),
        (90, 90, 90),
        (200, 120, 60),
    ]
    frames = tuple(np.full((100, 200, 3), color, np.uint8) for color in colors)
    truth = flat((250, 220, 250))
    exhibit = Exhibit(
        "stack", frames, truth, np.full((100, 200), 5, np.uint8), {"gff": flat((0, 0, 220))}, {}
    )
    shown = decoded(write_sheet([exhibit]))
    for color in (*colors, (250, 220, 250), (0, 0, 220), (86, 180, 233)):
        assert near(shown, color).sum() > 0.8 * WIDTH * WIDTH / 2


def test_hostile_and_endless_names_stay_in_their_column():
    plain = decoded(write_sheet([pair("x", ("y", "z"))]))
    odd = decoded(write_sheet([pair("漢\n" * 300, ("<b>$\\frac\0" * 99, "z"))]))
    assert odd.shape == plain.shape
    np.testing.assert_allclose(odd[-60:], plain[-60:], atol=40)


def test_tall_and_tiny_pictures_fit():
    shapes = [decoded(write_sheet([pair(size=size)])).shape for size in ((400, 50), (11, 11))]
    assert all(shape[1] == shapes[0][1] for shape in shapes)


def test_sheets_longer_than_webp_allows_are_made_smaller():
    given = pair()
    shown = decoded(write_sheet(given for _ in range(80)))
    assert shown.shape[0] == 16383


def test_nothing_to_draw_is_an_error():
    with pytest.raises(ZooError, match="no stack"):
        write_sheet([])


def test_missing_package_is_named(monkeypatch):
    import matplotlib.backends.backend_agg
    import matplotlib.figure  # noqa: F401 - they need Pillow, too, and are not what is tested

    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingExtraError, match=r"pillow is not installed.*\[preview\]"):
        write_sheet([pair()])


# --- error maps ---


def photo():
    rng = np.random.default_rng(3)
    return np.repeat(rng.integers(60, 190, (64, 64, 1), np.uint8), 3, axis=2)


def halves():
    """Two frames, each sharp in one half, and what they are of."""
    sharp = photo()
    blurred = cv2.GaussianBlur(sharp, (0, 0), 3)
    left, right = sharp.copy(), sharp.copy()
    left[:, 32:], right[:, :32] = blurred[:, 32:], blurred[:, :32]
    return sharp, left, right


def test_without_truth_lost_detail_is_orange_and_added_blue():
    sharp, left, right = halves()
    exhibit = Exhibit("pair", (left, right), None, None, {}, {})
    assert (error_map(exhibit, sharp)[:, 8:24] > 250).all()
    lost = error_map(exhibit, left).astype(int)
    assert (lost[:, :24] > 250).all()
    assert (lost[:, 42:, 0] - lost[:, 42:, 2]).min() > 100
    noisy = np.clip(sharp.astype(int) * 2 - 128, 0, 255).astype(np.uint8)
    added = error_map(exhibit, noisy).astype(int)
    assert (added[:, 8:24, 2] - added[:, 8:24, 0]).mean() > 100


def test_with_truth_what_equals_it_is_black():
    sharp, left, right = halves()
    exhibit = Exhibit("pair", (left, right), sharp, None, {}, {})
    assert error_map(exhibit, sharp).max() < 5
    wrong = error_map(exhibit, left).astype(int).sum(axis=2)
    assert wrong[:, :32].max() < 10
    assert wrong[:, 40:].mean() > 150
