from collections import Counter
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.training.crops import draws, make_crop
from zoo.training.data import Batches
from zoo.training.presets import preset
from zoo.training.scattered import Position, Scattered
from zoo.training.sources import Mixture, Reader, SourceSpec, open_source


@pytest.fixture(scope="module")
def sources(small_coco, small_recipes):
    specs = [SourceSpec(f"coco:{small_coco}:small"), SourceSpec(str(small_recipes))]
    return [(open_source(spec, 1, memory=1 << 20), 1.0) for spec in specs]


def chosen(**more):
    named = {"crop": "16"} | {name: str(value) for name, value in more.items()}
    return preset("hf-seg", "fast").override(named)


def test_one_window_is_one_crop_of_each_scene(sources):
    """As releases before had it, with the same draws."""
    options, reader = chosen(), Reader(0, 1, 1, 2)
    mixture = Mixture(sources, options.seed, reader)
    for number, crop in enumerate(islice(Scattered(sources, options, reader, make_crop), 12)):
        source, scene = mixture.next(number)
        rng = draws("crop", options.seed, reader.number, number)
        expected = make_crop(scene, options, rng, source.captured)
        np.testing.assert_array_equal(crop.frames, expected.frames)
        np.testing.assert_array_equal(crop.target, expected.target)


class Counted:
    """A source of scenes that are only their epochs and places, and crops that are their scenes and draws."""

    captured = False

    def __init__(self, name, length):
        self.name, self.length = name, length

    def __len__(self):
        return self.length

    def epoch(self, epoch, _reader, skip):
        return ((place, (self.name, epoch, place)) for place in range(skip + 1, self.length + 1))


def numbered(scene, _options, rng, _captured):
    return scene, rng.integers(1 << 60)


@pytest.fixture(scope="module")
def counted():
    return [(Counted("a", 11), 1.0), (Counted("b", 5), 2.0)]


SOME = settings(deadline=None, max_examples=40)


@SOME
@given(windows=st.integers(1, 7), pairs=st.integers(1, 9), start=st.integers(0, 150))
def test_crops_of_a_scene_are_all_there_and_in_minibatches_of_their_own(counted, windows, pairs, start):
    crops = list(islice(Scattered(counted, chosen(windows=windows, pairs=pairs), Reader(), numbered), 400))
    counts = Counter(scene for scene, _ in crops)
    assert max(counts.values()) == windows
    assert all(count == windows for scene, count in list(counts.items())[: 200 // windows])
    assert len(set(crops)) == 400
    start += -(-pairs // windows) * windows * (windows - 1) // 2  # crops lie closer in the beginning
    assert len({scene for scene, _ in crops[start : start + pairs]}) == pairs


@SOME
@given(windows=st.integers(1, 5), pairs=st.integers(1, 6), taken=st.integers(0, 70))
def test_a_stream_goes_on_from_any_position(counted, windows, pairs, taken):
    options = chosen(windows=windows, pairs=pairs)
    whole = list(islice(Scattered(counted, options, Reader(), numbered), 100))
    first = Scattered(counted, options, Reader(), numbered)
    assert list(islice(first, taken)) == whole[:taken]
    second = Scattered(counted, options, Reader(), numbered, first.position)
    assert second.position == first.position
    assert list(islice(second, 30)) == whole[taken : taken + 30]


def test_batches_of_several_windows_go_on_from_where_they_were(small_coco):
    options, specs = chosen(windows=3, pairs=2), [SourceSpec(f"coco:{small_coco}:small")]
    whole = list(islice(Batches(specs, options, workers=2).of(1), 6))
    later = Batches(specs, options, workers=2, positions=[Position(), whole[2].position])
    for before, after in zip(whole[3:], later.of(1), strict=False):
        assert before.position == after.position
        for part in ("frames", "target", "gt"):
            assert (getattr(before, part) == getattr(after, part)).all()


def test_the_position_of_one_window_is_that_of_the_sources(sources):
    stream = Scattered(sources[:1], chosen(), Reader(), make_crop)
    assert stream.position == Position(0, [[0, 0]])
    for _ in range(3):
        next(stream)
    assert stream.position == Position(3, [[0, 3]])
