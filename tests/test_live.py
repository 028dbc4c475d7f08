from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coco_folder import Picture, write_coco

import mfsynth
from mfsynth import Sample, Scene
from mfsynth.errors import ChangedError, OptionsError
from mfsynth.live import Live


def keys(stream: Live[Scene]) -> list[str]:
    return [scene.key for scene in stream]


def test_images_are_selected_by_what_coco_lists_of_them(small_coco: Path) -> None:
    whole = mfsynth.synthesize(small_coco, "small", epoch=1).scenes()
    wide = whole.select(lambda image: image.width > image.height)
    assert 0 < len(wide) < len(whole) == 9
    assert keys(wide) == [
        scene.key for scene in whole if scene.recipe.image.width > scene.recipe.image.height
    ]
    assert len(whole) == len(keys(whole)) == 9


def test_a_selection_keeps_epoch_order_and_pixels(small_coco: Path) -> None:
    whole = mfsynth.synthesize(small_coco, "small", shuffle=4, epoch=2, noise=(0.0, 0.1))
    some = whole.select(lambda image: image.id in (3, 43, 83))
    samples: dict[str, Sample] = {sample.key: sample for sample in whole}
    assert sorted(sample.key for sample in some) == [f"{id:012d}-002" for id in (3, 43, 83)]
    for sample in some:
        assert sample.recipe == samples[sample.key].recipe
        for frame, expected in zip(sample.frames, samples[sample.key].frames, strict=True):
            assert (frame == expected).all()
    assert len(some.select(lambda image: image.id != 43)) == 2
    orders = {tuple(sample.key[:12] for sample in some.at(epoch)) for epoch in range(8)}
    assert len(orders) > 1


def test_nothing_selected_is_an_empty_stream(small_coco: Path) -> None:
    none = mfsynth.synthesize(small_coco, "small").select(lambda _: False)
    assert len(none) == 0
    assert list(none) == []


@pytest.mark.parametrize("images", [[43, 3], (43, 3, 3), {3, 43}, np.array([3, 43]), iter([3, 43])])
def test_images_are_named_by_any_sequence_of_ids(small_coco: Path, images: Iterable[int]) -> None:
    stream = mfsynth.synthesize(small_coco, "small", images=images).scenes()
    assert keys(stream) == ["000000000003-000", "000000000043-000"]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"sigma": 5}, "sigma is 5, it must be two numbers, smallest and largest"),
        ({"sigma": (1, 2, 3)}, r"sigma is \(1, 2, 3\), it must be two numbers"),
        ({"noise": None}, "noise is None, it must be two numbers"),
        ({"seed": None}, "seed is None, it must be a whole number"),
        ({"seed": 1.5}, "seed is 1.5, it must be a whole number"),
        ({"limit": -1}, "limit is -1, it must be a whole number, 0 or more"),
        ({"epoch": -1}, "epoch is -1, it must be a whole number, 0 or more"),
        ({"epoch": None}, "epoch is None, it must be a whole number"),
        ({"images": 139}, "images is 139, it must be a sequence of ids"),
        ({"images": "139"}, "images is '139', it must be a sequence of ids"),
        ({"images": []}, "images is empty; None takes all"),
        ({"images": [4]}, "names 1 id that small does not have: 4"),
        ({"licenses": 4}, "licenses is 4, it must be a sequence of ids"),
        ({"sigmas": (1, 2)}, "there is no option 'sigmas'; did you mean sigma\\? The options are masks"),
        ({"variants": 2}, "there is no option 'variants'"),
        ({"window": 64}, r"64 is not a window; give \(top, left, height, width\)"),
        ({"window": (0, 0, 64)}, r"\(0, 0, 64\) is not a window"),
        ({"window": (0, 0, 8.5, 8)}, r"\(0, 0, 8.5, 8\) is not a window"),
    ],
)
def test_options_that_make_no_sense_are_named(small_coco: Path, options: dict[str, Any], text: str) -> None:
    with pytest.raises(OptionsError, match=text):
        mfsynth.synthesize(small_coco, "small", **options)


def test_an_epoch_is_counted_from_0(small_coco: Path) -> None:
    stream = mfsynth.synthesize(small_coco, "small", epoch=np.int64(3)).scenes()
    assert keys(stream)[0] == "000000000003-003"
    with pytest.raises(OptionsError, match="epoch is -1"):
        stream.at(-1)
    with pytest.raises(OptionsError, match="epoch is -2"):
        stream.torch().set_epoch(-2)


def test_a_picture_that_changed_since_it_was_listed_ends_the_stream(tmp_path: Path) -> None:
    write_coco(tmp_path, "s", [Picture(1), Picture(2)])
    stream = mfsynth.synthesize(tmp_path, "s").scenes()
    samples = iter(stream)
    next(samples)
    os.utime(tmp_path / "s" / Picture(2).name, (1, 1))
    with pytest.raises(ChangedError, match=f"{Picture(2).name} has changed since its split was read"):
        next(samples)


def test_only_unusable_files_are_warned_of(
    small_coco: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What options leave out for what it shows comes again in every epoch, and is as it should be."""
    caplog.set_level("INFO", "mfsynth.live")
    assert not list(mfsynth.synthesize(small_coco, "small", min_sharpness=200.0).scenes())
    assert [record.levelname for record in caplog.records] == ["INFO"] * 9
    assert "not sharp" in caplog.text
    caplog.clear()
    write_coco(tmp_path, "one", [Picture(id=3), Picture(id=4)])
    (tmp_path / "one" / "000000000004.jpg").write_bytes(b"\xff\xd8\xff")
    assert keys(mfsynth.synthesize(tmp_path, "one").scenes()) == ["000000000003-000"]
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_kept_images_need_no_files_in_later_epochs(tmp_path: Path) -> None:
    """Those that found room: the first ones."""
    write_coco(tmp_path, "small", [Picture(id=k, height=40, width=50) for k in (1, 2, 3)])
    stream = mfsynth.synthesize(tmp_path, "small").scenes()
    expected = list(stream.at(1))
    size = expected[0].picture.nbytes + expected[0].segments.nbytes
    kept = stream.keeping(3 * size - 1)
    assert keys(kept) == keys(stream)
    for file in (tmp_path / "small").iterdir():
        file.unlink()
    with pytest.raises(ChangedError, match=r"000000000003\.jpg is gone"):
        list(kept.at(1))
    for scene, before in zip(kept.select(lambda image: image.id < 3).at(1), expected[:2], strict=True):
        assert scene.recipe == before.recipe
        np.testing.assert_array_equal(scene.picture, before.picture)
        np.testing.assert_array_equal(scene.segments, before.segments)
        with pytest.raises(ValueError, match="read-only"):
            scene.picture[0] = 0
