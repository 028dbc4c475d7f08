from __future__ import annotations

from pathlib import Path

import mfsynth
from mfsynth import Sample, Scene
from mfsynth.live import Live


def keys(stream: Live[Scene]) -> list[str]:
    return [scene.key for scene in stream]


def test_images_are_selected_by_what_coco_lists_of_them(small_coco: Path) -> None:
    whole = mfsynth.synthesize(small_coco, "small", render=False, epoch=1)
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
    orders = {tuple(sample.key[:12] for sample in some.at(epoch)) for epoch in range(8)}
    assert len(orders) > 1


def test_nothing_selected_is_an_empty_stream(small_coco: Path) -> None:
    none = mfsynth.synthesize(small_coco, "small").select(lambda _: False)
    assert len(none) == 0
    assert list(none) == []
