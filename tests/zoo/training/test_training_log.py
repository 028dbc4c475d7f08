"""The pictures of a training's log: labeled, and pixel for pixel what was given."""

import io

import numpy as np
from PIL import Image

from zoo.training.training_log import HEADS, draw_curve, draw_samples

SIDE = 192


def test_sample_sheets_show_every_pixel_below_its_label():
    rng = np.random.default_rng(0)
    rows = [rng.integers(0, 120, (SIDE, len(HEADS) * SIDE, 3), np.uint8) for _ in range(2)]
    sheet = draw_samples(rows, "clean, step 60", "PSNR 30.00 dB")
    tops = []
    for row in rows:
        for number, picture in enumerate(np.split(row, len(HEADS), axis=1)):
            inside = picture[1:-1, 1:-1]  # a hairline runs around each
            top, left = (int(each[0]) for each in np.nonzero((sheet == inside[0, 0]).all(axis=2)))
            np.testing.assert_array_equal(sheet[top : top + SIDE - 2, left : left + SIDE - 2], inside)
            tops.append(top)
            if row is rows[0]:
                label = sheet[top - 16 : top - 2, left : left + SIDE - 2]
                assert (label < 100).any(), HEADS[number]
    assert len(set(tops)) == 2


def test_curves_of_a_training_with_and_without_validation():
    steps = [{"step": str(step), "loss": str(1 / step)} for step in range(10, 500, 10)]
    held_out = [{"step": "250", "kind": "clean", "loss": "0.01", "psnr": "30.5"}]
    sizes = []
    for validation in ([], held_out):
        drawn = np.asarray(Image.open(io.BytesIO(draw_curve(steps, validation))).convert("RGB"))
        assert drawn.std() > 5
        sizes.append(drawn.shape)
    assert min(size[1] for size in sizes) > 800
    assert draw_curve([], [])
