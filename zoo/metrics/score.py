"""All metrics at once, the sources' features computed once."""

from __future__ import annotations

from zoo.metrics.contrast import Contrasts
from zoo.metrics.gradient import Gradients
from zoo.metrics.information import Information
from zoo.metrics.phase import Phases
from zoo.metrics.planes import GrayMode, Picture, Plane, check, gray
from zoo.metrics.structure import Structures, psnr, ssim


class Sources:
    """Two sources, H x W uint8 each, with all that the metrics need of them: to score many fused planes.

    At 520 x 520 it holds about 80 MB.

    Raises:
        MetricError: If they are not gray, of uint8, of one size, with sides of at least 11.
    """

    def __init__(self, a: Plane, b: Plane) -> None:
        check(a, b)
        self._a = a
        self._information = Information(a, b)
        self._gradients = Gradients(a, b)
        self._phases = Phases(a, b)
        self._structures = Structures(a, b)
        self._contrasts = Contrasts(a, b)

    def score(self, fused: Plane) -> dict[str, float]:
        """The seven metrics of a fused plane, H x W uint8, by the names of their functions.

        Raises:
            MetricError: If it is not gray, of uint8, of the sources' size.
        """
        check(self._a, fused)
        return {
            **self._information.scores(fused),
            "q_g": self._gradients.q_g(fused),
            "q_p": self._phases.q_p(fused),
            "q_s": self._structures.q_s(fused),
            "q_cb": self._contrasts.q_cb(fused),
        }


def score(
    a: Picture, b: Picture, fused: Picture, truth: Picture | None = None, *, mode: GrayMode = "mean"
) -> dict[str, float]:
    """All metrics of RGB pictures, H x W x 3 uint8, on their gray planes.

    Args:
        a: First source.
        b: Second source.
        fused: What was made of them.
        truth: What should have been made of them; with it, also `psnr` (of RGB) and `ssim` (of gray).
        mode: How planes are made gray; see `gray`.

    Raises:
        MetricError: If they are not RGB, of uint8, of one size, with sides of at least 11.
    """
    plane = gray(fused, mode)
    scores = Sources(gray(a, mode), gray(b, mode)).score(plane)
    if truth is not None:
        scores |= {"psnr": psnr(truth, fused), "ssim": ssim(gray(truth, mode), plane)}
    return scores
