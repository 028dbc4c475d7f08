from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import convolve, convolve1d
from scipy.special import erf

from mfsynth.errors import ShardError
from mfsynth.synthesis.optics.kernels import Aperture

DISK, GAUSSIAN = Aperture("disk"), Aperture("gaussian")
TRIANGLE, HEXAGON, SEVEN = (Aperture("polygon", blades, 0.3) for blades in (3, 6, 7))
SHAPES = [DISK, GAUSSIAN, TRIANGLE, HEXAGON, SEVEN]
Points = list[tuple[float, float]]


def noise(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(sum(shape)).random(shape, np.float32)


# --- taps against areas that are calculated in another way ----------------------------------------------


def disk_coverage(radius: float, reach: int) -> NDArray[np.float64]:
    """Each pixel's part inside a disk, column by column of 4,000 thin ones a pixel."""
    steps = 4000
    x = (np.arange((2 * reach + 1) * steps) + 0.5) / steps - reach - 0.5
    half = np.sqrt(np.maximum(radius**2 - x**2, 0))
    low = np.arange(-reach, reach + 1)[:, None] - 0.5
    inside = np.maximum(np.minimum(low + 1, half) - np.maximum(low, -half), 0)
    covered: NDArray[np.float64] = inside.reshape(2 * reach + 1, 2 * reach + 1, steps).mean(axis=2)
    return covered


def clipped(points: Points, axis: int, bound: float, sign: int) -> Points:
    """What is left of a polygon on one side of an axis-parallel line (Sutherland and Hodgman)."""
    left: Points = []
    for start, end in zip(points[-1:] + points[:-1], points, strict=True):
        a, b = sign * (start[axis] - bound), sign * (end[axis] - bound)
        if a * b < 0:
            t = a / (a - b)
            left.append((start[0] + t * (end[0] - start[0]), start[1] + t * (end[1] - start[1])))
        if b >= 0:
            left.append(end)
    return left


def area(points: Points) -> float:
    shifted = points[1:] + points[:1]
    return abs(sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(points, shifted, strict=True))) / 2


def polygon_coverage(aperture: Aperture, radius: float, reach: int) -> NDArray[np.float64]:
    """Each pixel's part inside a polygon whose area is that of the disk, by clipping."""
    n = aperture.blades
    outer = math.sqrt(math.pi * radius**2 / (n / 2 * math.sin(2 * math.pi / n)))
    angles = [aperture.rotation + 2 * math.pi * k / n for k in range(n)]
    corners = [(outer * math.cos(a), outer * math.sin(a)) for a in angles]
    covered = np.zeros((2 * reach + 1, 2 * reach + 1))
    for (row, column), _ in np.ndenumerate(covered):
        left = corners
        for axis, middle in ((0, column - reach), (1, row - reach)):
            left = clipped(clipped(left, axis, middle - 0.5, 1), axis, middle + 0.5, -1) if left else left
        covered[row, column] = area(left) if left else 0
    return covered


SQUARES_ROUND_APART = [2.2737569515506246, 3.5007056755818473, 11.901764226080422]  # r**2 < r * r


@pytest.mark.parametrize("radius", [0.3, 0.5, 0.6, 0.75, 1, 1.5, 2.3, 5, 8.71, *SQUARES_ROUND_APART])
def test_a_disks_taps_are_the_covered_parts_of_pixels(radius: float) -> None:
    taps = DISK.taps(radius)
    assert taps.shape == (2 * DISK.reach(radius) + 1,) * 2
    covered = disk_coverage(radius, DISK.reach(radius))
    assert covered.sum() == pytest.approx(math.pi * radius**2, rel=1e-5)  # nothing lies beyond the reach
    assert np.abs(taps * math.pi * radius**2 - covered).max() < 1e-5


@pytest.mark.parametrize("radius", [0.3, 0.7, 1.5, 2.3, 5.9])
@pytest.mark.parametrize(
    "aperture", [TRIANGLE, HEXAGON, SEVEN, Aperture("polygon", 4), Aperture("polygon", 5, -7)]
)
def test_a_polygons_taps_are_the_covered_parts_of_pixels(aperture: Aperture, radius: float) -> None:
    covered = polygon_coverage(aperture, radius, aperture.reach(radius))
    assert covered.sum() == pytest.approx(math.pi * radius**2)
    assert np.abs(aperture.taps(radius) * math.pi * radius**2 - covered).max() < 1e-8


@pytest.mark.parametrize(("radius", "share"), [(0.3, 1), (0.5, 1), (0.6, 0.84), (0.75, 0.55)])
def test_a_small_disk_stays_mostly_in_its_pixel(radius: float, share: float) -> None:
    assert DISK.taps(radius).max() >= share


@given(st.sampled_from(["disk", "polygon"]), st.integers(3, 32), st.floats(-7, 7), st.floats(0.01, 30))
def test_taps_sum_to_one_and_none_is_negative(kernel: str, blades: int, rotation: float, size: float) -> None:
    taps = Aperture(kernel, blades, rotation).taps(size)
    assert taps.sum() == pytest.approx(1, abs=1e-12)
    assert taps.min() >= 0


@pytest.mark.parametrize("blades", [3, 5, 6, 8])
def test_a_quarter_turn_of_a_polygon_turns_its_taps_clockwise(blades: int) -> None:
    taps, turned = (Aperture("polygon", blades, 0.2 + turn).taps(4.4) for turn in (0, math.pi / 2))
    assert np.allclose(turned, np.rot90(taps, -1), atol=1e-9)


def test_a_polygons_corner_points_where_its_rotation_says() -> None:
    down = Aperture("polygon", 3, math.pi / 2)
    rows, columns = np.array(np.nonzero(down.taps(6))) - down.reach(6)
    assert rows.max() > 8
    assert rows.min() == -5
    assert np.ptp(columns[rows == rows.max()]) < 3
    assert np.ptp(columns[rows == rows.min()]) > 14


def test_many_blades_make_a_disk() -> None:
    errors = [np.abs(_padded(Aperture("polygon", n), 6.3) - _padded(DISK, 6.3)).sum() for n in (6, 12, 32)]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.005


def _padded(aperture: Aperture, size: float) -> NDArray[np.float64]:
    return np.pad(aperture.taps(size), 10 - aperture.reach(size))


# --- pictures -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0.3, 0.8, 1.7, 5.2, 9, 14])
@pytest.mark.parametrize("aperture", SHAPES)
def test_a_point_becomes_the_kernel(aperture: Aperture, size: float) -> None:
    reach = aperture.reach(size)
    point = np.zeros((2 * reach + 3, 2 * reach + 4, 3), np.float32)
    point[reach + 1, reach + 1] = 1
    image = aperture.blur(point, size)
    expected = np.pad(aperture.taps(size), ((1, 1), (1, 2)))
    assert np.abs(image - expected[..., None]).max() < 1e-7


@pytest.mark.parametrize("radius", [0.7, 1.5, 4, 8.3, 15])
def test_a_straight_edge_spreads_as_the_segments_of_a_disk(radius: float) -> None:
    distance = np.arange(-20, 20) + 0.5  # from the edge, which lies between two pixels, to pixels' middles
    edge = np.broadcast_to(distance > 0, (40, 40)).astype(np.float32)
    near = distance.clip(-radius, radius)
    beyond = radius**2 * np.arccos(near / radius) - near * np.sqrt(radius**2 - near**2)
    expected = 1 - beyond / (math.pi * radius**2)
    assert np.abs(DISK.blur(edge, radius) - expected).max() < 1e-6
    assert np.abs(DISK.blur(edge.T.copy(), radius) - expected[:, None]).max() < 1e-6


@pytest.mark.parametrize("sigma", [1, 3, 5])
def test_a_straight_edge_spreads_as_the_integral_of_a_gaussian(sigma: float) -> None:
    distance = np.arange(-30, 30) + 0.5
    edge = np.broadcast_to(distance > 0, (60, 60)).astype(np.float32)
    expected = (1 + erf(distance / (math.sqrt(2) * sigma))) / 2
    sampled = 0.242 / 24 / sigma**2  # a bell's taps, not its pixels' integrals: its steepest slope / 24
    cut = math.erfc(4 / math.sqrt(2))
    assert np.abs(GAUSSIAN.blur(edge, sigma) - expected).max() < 1.1 * sampled + cut


@pytest.mark.parametrize("size", [0.2, 0.9, 2.5, 7.7, 13])
@pytest.mark.parametrize("aperture", SHAPES)
def test_light_is_neither_lost_nor_made(aperture: Aperture, size: float) -> None:
    reach = aperture.reach(size)
    light = np.pad(noise(20, 30).astype(np.float64), reach + 1)
    blurred = aperture.blur(light.astype(np.float32), size)
    assert blurred.sum(dtype=np.float64) == pytest.approx(light.sum(), rel=1e-6)
    flat = np.full((31, 43, 4), 0.7, np.float32)
    assert np.abs(aperture.blur(flat, size) - flat).max() < 1e-6


@pytest.mark.parametrize("size", [0.8, 3, 6, 22])
@pytest.mark.parametrize("aperture", SHAPES)
@pytest.mark.parametrize("shape", [(50, 60), (35, 40, 4), (5, 3, 3), (1, 9)])
def test_pictures_match_a_float64_reference_with_mirrored_borders(
    aperture: Aperture, size: float, shape: tuple[int, ...]
) -> None:
    planes = noise(*shape)
    taps = aperture.taps(size)
    if aperture is GAUSSIAN:  # quicker by lines
        expected = planes.astype(np.float64)
        for axis in (0, 1):
            expected = convolve1d(expected, taps.sum(axis=0), axis, mode="mirror")
    else:
        weights = taps.reshape(*taps.shape, *[1] * (len(shape) - 2))
        expected = convolve(planes.astype(np.float64), weights, mode="mirror")
    blurred = aperture.blur(planes, size)
    assert blurred.dtype == np.float32
    assert blurred.shape == shape
    assert np.abs(blurred - expected).max() < (1e-6 if len(taps) <= 23 else 2e-6)


@given(st.data())
def test_a_window_has_the_whole_pictures_values(data: st.DataObject) -> None:
    aperture = data.draw(st.sampled_from(SHAPES))
    size = data.draw(st.floats(0.1, 4 if aperture.kernel == "gaussian" else 16))
    height, width = data.draw(st.integers(1, 90)), data.draw(st.integers(1, 90))
    channels = data.draw(st.sampled_from([(), (3,), (4,)]))
    planes = noise(height, width, *channels) ** 4
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    bottom, right = data.draw(st.integers(top + 1, height)), data.draw(st.integers(left + 1, width))
    reach = aperture.reach(size)
    first, start = max(top - reach, 0), max(left - reach, 0)
    outer = aperture.blur(planes[first : bottom + reach, start : right + reach], size)
    window = outer[top - first : bottom - first, left - start : right - start]
    assert np.array_equal(window, aperture.blur(planes, size)[top:bottom, left:right])


@pytest.mark.parametrize("channels", [(), (3,), (4,)])
@pytest.mark.parametrize("aperture", [DISK, HEXAGON, GAUSSIAN])
def test_windows_of_any_width_have_the_whole_pictures_values(
    aperture: Aperture, channels: tuple[int, ...]
) -> None:
    planes, reach = noise(80, 80, *channels), aperture.reach(1)
    whole = aperture.blur(planes, 1)[:, reach:]
    for width in range(2 * reach + 1, 60):
        window = aperture.blur(planes[:, :width], 1)[:, reach : width - reach]
        assert np.array_equal(window, whole[:, : width - 2 * reach])


def test_a_window_in_the_dark_forgets_the_light_beside_it() -> None:
    planes = noise(60, 120)
    planes[:, 60:] *= 1e-12
    dark = DISK.blur(planes[:, 60:], 6)[:, 6:]
    assert np.array_equal(dark, DISK.blur(planes, 6)[:, 66:])


@pytest.mark.parametrize("aperture", SHAPES)
def test_a_size_of_zero_changes_nothing_and_small_ones_hardly_anything(aperture: Aperture) -> None:
    planes = noise(20, 25, 3)
    assert np.array_equal(aperture.blur(planes, 0), planes)
    assert np.array_equal(aperture.blur(planes, 1e-9), planes)
    sizes = [0.05, 0.2, 0.4, 0.6, 0.8, 1]
    changes = [np.abs(aperture.blur(planes, size) - planes).max() for size in sizes]
    assert changes == sorted(changes)


@given(st.sampled_from(SHAPES), st.floats(0.3, 12))
def test_sizes_that_hardly_differ_give_pictures_that_hardly_differ(aperture: Aperture, size: float) -> None:
    planes = noise(30, 25)
    wider = aperture.blur(planes, size * 1.0001)
    assert np.abs(wider - aperture.blur(planes, size)).max() < 2e-3


def test_blurring_leaves_its_input_alone() -> None:
    planes = noise(40, 50, 3)
    before = planes.copy()
    DISK.blur(planes, 7)
    assert np.array_equal(planes, before)


@pytest.mark.parametrize(
    ("kernel", "blades", "reason"),
    [("heart", 0, "unknown blur kernel 'heart'"), ("polygon", 2, "at least 3 blades, not 2")],
)
def test_a_kernel_that_does_not_exist_is_refused(kernel: str, blades: int, reason: str) -> None:
    with pytest.raises(ShardError, match=reason):
        Aperture(kernel, blades)
