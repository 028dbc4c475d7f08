import cv2
import numpy as np
import pytest

from zoo.stacks.options import FuseOptions
from zoo.stacks.planning.hot import faults, find_hot, repaired
from zoo.stacks.planning.plan import plan
from zoo.stacks.planning.survey import survey
from zoo.stacks.stack import ArrayStack
from zoo.stacks.words import plan_lines

DTYPES = [np.uint8, np.uint16, np.float32]
WHITE = {np.uint8: 255, np.uint16: 65535, np.float32: 700.0}


def smooth(shape=(80, 100, 3), seed=0, noise=0.006):
    """A soft picture in [0.2, 0.7] with a little noise."""
    random = np.random.default_rng(seed)
    coarse = random.random((3, 4, *shape[2:]), np.float32)
    picture = cv2.resize(coarse, shape[1::-1], interpolation=cv2.INTER_CUBIC).clip(0, 1) * 0.5 + 0.2
    return picture + random.normal(0, noise, shape).astype(np.float32)


def as_dtype(picture, dtype):
    values = picture.clip(0, 1) * WHITE[dtype]
    return values.astype(np.float32) if dtype is np.float32 else np.rint(values).astype(dtype)


def places(shape, count=30, seed=1):
    """Values apart from one another: rows, columns, and channels if there are any."""
    grid = np.stack(np.meshgrid(np.arange(4, shape[0], 9), np.arange(3, shape[1], 9)), -1).reshape(-1, 2)
    random = np.random.default_rng(seed)
    chosen = random.permutation(grid)[:count]
    return (*chosen.T, random.integers(0, 3, count)) if len(shape) == 3 else tuple(chosen.T)


def repaired_alone(frame):
    found = find_hot(frame, float(frame.min()), float(np.percentile(frame, 99)))
    return repaired(frame, faults([found], moved=False)[0])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(80, 100, 3), (80, 100)])
def test_hot_and_dead_values_get_their_surroundings_value(shape, dtype):
    clean = smooth(shape)
    broken = clean.copy()
    where = places(shape)
    broken[where] += np.where(np.arange(30) % 2, 0.6, -0.6)
    got = repaired_alone(as_dtype(broken, dtype))
    assert got.dtype == dtype
    error = np.abs(got.astype(np.float64) - as_dtype(clean, dtype)) / WHITE[dtype]
    assert error[where].max() < 0.05
    error[where] = 0
    assert error.max() == 0


def test_corners_and_edges_are_repaired_too():
    clean = smooth()
    broken = clean.copy()
    for row, column in ((0, 0), (0, 50), (79, 99), (40, 0)):
        broken[row, column] = 1
    got = repaired_alone(as_dtype(broken, np.uint8))
    assert np.abs(got.astype(int) - as_dtype(clean, np.uint8)).max() < 15


def star(width, offset):
    """A star's image by a lens, `width` pixels wide at half its height, of peak 1; 9 x 9."""
    y, x = np.mgrid[-40:41, -40:41] / 9
    sigma = width / 2.355
    fine = np.exp(-((x - offset[0]) ** 2 + (y - offset[1]) ** 2) / (2 * sigma**2)).astype(np.float32)
    image = cv2.resize(fine, (9, 9), interpolation=cv2.INTER_AREA)
    return image / image.max()


@pytest.mark.parametrize("width", [1.2, 1.5, 2.5])
def test_stars_stay(width):
    sky = np.random.default_rng(0).normal(0.05, 0.004, (120, 160)).astype(np.float32)
    random = np.random.default_rng(1)
    for top in range(2, 110, 13):
        for left in range(2, 150, 13):
            image = star(width, random.uniform(-0.5, 0.5, 2)) * random.uniform(0.1, 0.9)
            sky[top : top + 9, left : left + 9] += image
    frame = as_dtype(sky, np.uint8)
    assert repaired_alone(frame) is frame


def test_thin_lines_text_and_texture_stay():
    page = np.full((120, 200), 250, np.uint8)
    cv2.putText(page, "Hot. pixels: i, j;", (4, 30), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 20, 1, cv2.LINE_AA)
    cv2.line(page, (5, 50), (190, 77), 30, 1)
    cv2.line(page, (5, 80), (190, 80), 30, 1)
    page[90:110:2, 5:190:3] = 20
    texture = np.random.default_rng(0).random((120, 200), np.float32)
    for frame in (
        page,
        as_dtype(texture, np.uint8),
        as_dtype(cv2.GaussianBlur(texture, None, 0.6), np.uint8),
    ):
        assert repaired_alone(frame) is frame


def test_noise_stays():
    for sigma in (0.01, 0.05, 0.1):
        noise = np.random.default_rng(0).normal(0.5, sigma, (600, 600)).astype(np.float32)
        frame = as_dtype(noise, np.uint16)
        assert repaired_alone(frame) is frame


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_rounded_noise_of_a_frame_without_contrast_stays(dtype):
    frame = np.full((100, 120), 12, dtype)
    frame[places(frame.shape)] += 1
    assert repaired_alone(frame) is frame


def specks(seed=0, noise=0.006):
    """Single pixels of all heights that stand out of a scene, as in a picture that was reduced."""
    random = np.random.default_rng(seed)
    picture = smooth(noise=noise, seed=seed)
    where = places(picture.shape, 60, seed)
    picture[where] += random.uniform(0.06, 0.35, 60).astype(np.float32) ** 1.5
    return picture


def test_specks_of_the_scene_stay():
    """The second frame is out of focus: what stands out in the first only is no fault of the sensor."""
    for seed in range(3):
        sharp = specks(seed)
        soft = cv2.GaussianBlur(sharp, None, 2)
        frames = [as_dtype(each, np.uint8) for each in (sharp, soft)]
        found = [find_hot(each, 40, 190) for each in frames]
        assert len(found[0].places) > 20
        for moved in (False, True):
            assert all(len(each) == 0 for each in faults(found, moved=moved))


def test_faults_are_repaired_among_specks_if_frames_moved():
    """A sensor has its faults where it has them, whatever of the scene lies there."""
    scene, faulty = smooth((120, 140, 3)), (slice(5, 80, 19), slice(5, 100, 19))
    scene[::29, ::29] += 0.1
    frames = [scene[top : top + 80, left : left + 100].copy() for top, left in ((10, 10), (17, 22))]
    for each in frames:
        each[faulty] = 1
    frames = [as_dtype(each, np.uint8) for each in frames]
    planted = np.flatnonzero(np.broadcast_to(frames[0] == 255, frames[0].shape))
    agreed = faults([find_hot(each, 40, 190) for each in frames], moved=True)
    assert all(np.isin(planted, each).mean() > 0.9 for each in agreed)
    assert all(set(each) <= set(planted) for each in agreed)


def test_what_may_be_a_fault_is_one_if_frames_agree():
    """In noise, a fault stands out too little for one frame."""
    frames = [smooth(noise=0.03, seed=seed) for seed in range(3)]
    where = places((80, 100, 3), 12)
    for frame in frames:
        frame[where] += 0.4
    frames[1][20, 20] += 0.4  # what one frame shows, and no other
    found = [find_hot(as_dtype(frame, np.uint8), 40, 190) for frame in frames]
    alone, still = faults(found[:1], moved=False)[0], faults(found, moved=False)
    agreed = faults(found, moved=True)
    planted = np.ravel_multi_index(where, (80, 100, 3))
    assert len(alone) < 4
    assert max(map(len, still)) < 4
    for each in agreed:
        assert set(each) <= set(planted)
        assert len(each) >= 8


def test_known_faults_that_do_not_show_change_nothing():
    frame = as_dtype(smooth(), np.uint8)
    quiet = (frame[1:-1, 1:-1] == cv2.medianBlur(frame, 3)[1:-1, 1:-1]).nonzero()
    place = np.ravel_multi_index((quiet[0][:5] + 1, quiet[1][:5] + 1, quiet[2][:5]), frame.shape)
    assert repaired(frame, place.astype(np.int64)) is frame
    assert repaired(frame, np.empty(0, np.int64)) is frame


def test_pixels_that_are_kept_are_not_said_to_be_repaired():
    frames = [as_dtype(smooth(), np.uint8) for _ in range(2)]
    for frame in frames:
        frame[20, 30] = 255
    looks = survey(ArrayStack(frames))
    for options, told in ((FuseOptions(), True), (FuseOptions(hot_pixels=False), False)):
        how = plan(looks, options)
        assert all(bool(len(each.hot)) == told for each in how.frames)
        assert any("hot" in line for line in plan_lines(how)) == told
