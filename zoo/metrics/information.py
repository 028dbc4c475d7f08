"""How much two frames and a fused picture say about each other: Q_MI, Q_TE, Q_NCIE."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from zoo.metrics.grayscale import Floats, GrayImage, check, stretched

_Q = 0.43137
"""Order of the Tsallis entropy, after Nava et al."""


def q_mi(a: GrayImage, b: GrayImage, fused: GrayImage) -> float:
    """Normalized mutual information, 0 to 2 (Hossny, Nahavandi, Creighton 2008, for Qu et al.'s measure).

    2 [I(A,F) / (H(A) + H(F)) + I(B,F) / (H(B) + H(F))], entropies of the levels stretched to 0..255.

    Args:
        a: Frame A, gray, H x W uint8.
        b: Frame B, the same.
        fused: What was made of both, the same.

    Returns:
        The score; NaN if one of the three is constant.

    Raises:
        MetricError: If they are not gray, of uint8, of one size, with sides of at least 11.
    """
    check(a, b, fused)
    return Information(a, b).scores(fused)["q_mi"]


def q_te(a: GrayImage, b: GrayImage, fused: GrayImage) -> float:
    """Tsallis entropy of order 0.43137 (Cvejic, Canagarajah, Bull 2006, as Nava et al. 2007 normalize it).

    (T(A,F) + T(B,F)) / (H(A)^q + H(B)^q + T(A,B)), about 0.3 to 0.7. See `q_mi` for arguments and errors.
    """
    check(a, b, fused)
    return Information(a, b).scores(fused)["q_te"]


def q_ncie(a: GrayImage, b: GrayImage, fused: GrayImage) -> float:
    """Nonlinear correlation information entropy, about 0.8 to 1 (Wang, Shen, Jin 2008).

    1 + sum of l/3 log_256(l/3) over the eigenvalues l of the 3 x 3 matrix of I/8, ones on its diagonal.
    See `q_mi` for arguments and errors.
    """
    check(a, b, fused)
    return Information(a, b).scores(fused)["q_ncie"]


class Information:
    """Two frames' histograms, to score fused images of them."""

    def __init__(self, a: GrayImage, b: GrayImage) -> None:
        self._a, self._b = _Levels.of(a), _Levels.of(b)
        self._between = _compared(self._a, self._b)

    def scores(self, fused: GrayImage) -> dict[str, float]:
        """Q_MI, Q_TE and Q_NCIE by name."""
        a, b, f = self._a, self._b, _Levels.of(fused)
        (info_ab, tsallis_ab), (info_af, tsallis_af), (info_bf, tsallis_bf) = (
            self._between,
            _compared(a, f),
            _compared(b, f),
        )
        return {
            "q_mi": 2 * (info_af / (a.entropy + f.entropy) + info_bf / (b.entropy + f.entropy)),
            "q_te": (tsallis_af + tsallis_bf) / (a.entropy**_Q + b.entropy**_Q + tsallis_ab),
            "q_ncie": _correlated(info_ab / 8, info_af / 8, info_bf / 8),
        }


@dataclass(frozen=True, slots=True)
class _Levels:
    """An image's stretched levels, the share of each, and their entropy in bits; NaN for a constant image."""

    levels: GrayImage
    shares: Floats
    entropy: float

    @staticmethod
    def of(image: GrayImage) -> _Levels:
        levels = stretched(image)
        if levels is None:
            return _Levels(image, np.full(256, math.nan), math.nan)
        shares = np.bincount(levels.ravel(), minlength=256) / levels.size
        return _Levels(levels, shares, _entropy(shares[shares > 0]))


def _entropy(shares: Floats) -> float:
    return -float(shares @ np.log2(shares))


def _compared(x: _Levels, y: _Levels) -> tuple[float, float]:
    """Mutual information in bits and Tsallis divergence of two images.

    The divergence combines level i of x with y's share of i, and level j of y with x's share of j. Textbooks
    have it the other way around; published numbers come from this version.
    """
    counts = np.bincount((x.levels.astype(np.intp) << 8 | y.levels).ravel(), minlength=1 << 16)
    seen = np.flatnonzero(counts)
    joint = counts[seen] / x.levels.size
    crossed = y.shares[seen >> 8] * x.shares[seen & 255]
    tsallis = (1 - float(joint**_Q @ crossed ** (1 - _Q))) / (1 - _Q)
    return x.entropy + y.entropy - _entropy(joint), tsallis


def _correlated(ab: float, af: float, bf: float) -> float:
    """1 minus the entropy, to the base of 256, of the eigenvalues of three images' nonlinear correlations."""
    matrix = np.array([[1, ab, af], [ab, 1, bf], [af, bf, 1]])
    if np.isnan(matrix).any():
        return math.nan
    shares = np.linalg.eigvalsh(matrix) / 3
    return 1 - _entropy(shares[shares > 0]) / 8
