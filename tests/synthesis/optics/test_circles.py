from __future__ import annotations

import numpy as np
import pytest
from optical_scenes import optical_scene

from mfsynth.synthesis.optics.circles import blur_size


def confusion(focal: float, number: float, focus: float, distance: float) -> float:
    """Diameter on the sensor, by tracing the outermost rays of a thin lens; all in millimeters."""
    sensor, image = 1 / (1 / focal - 1 / focus), 1 / (1 / focal - 1 / distance)
    return (focal / number) * abs(sensor - image) / image


@pytest.mark.parametrize(("focal", "number"), [(50.0, 1.8), (85.0, 4.0), (6.0, 1.6)])
def test_sizes_are_those_of_a_thin_lens_for_planes_at_equal_steps_of_inverse_distance(
    focal: float, number: float
) -> None:
    planes = 6
    distances = 1 / np.linspace(1 / 12_000, 1 / 800, planes)  # millimeters, plane 0 the farthest
    scene = optical_scene(
        np.zeros((4, 4, 3), np.uint8), np.arange(16).reshape(4, 4).astype(np.uint8) % planes, size=7.0
    )
    for focus in range(planes):
        sensor = 1 / (1 / focal - 1 / distances[focus])
        farthest = confusion(focal, number, distances[0], distances[-1]) / (
            1 / (1 / focal - 1 / distances[0])
        )
        for plane in range(planes):
            angle = confusion(focal, number, distances[focus], distances[plane]) / sensor
            assert blur_size(scene.recipe, abs(plane - focus)) == pytest.approx(
                7.0 * angle / farthest, abs=1e-9
            )


def test_the_law_as_it_is_usually_written_is_the_same() -> None:
    """c = (f²/N)·|z − z_f| / (z·(z_f − f)), of which the text gives the source."""
    for focus, distance in ((1000.0, 3000.0), (5000.0, 700.0)):
        usual = 50.0**2 / 2 * abs(distance - focus) / (distance * (focus - 50.0))
        assert confusion(50.0, 2.0, focus, distance) == pytest.approx(usual)
        sensor = 50.0 * focus / (focus - 50.0)
        assert usual / sensor == pytest.approx(25.0 * abs(1 / focus - 1 / distance))
