"""Networks of a line, and frames for them."""

from types import SimpleNamespace

import cv2
import numpy as np
import torch

from zoo.fusing.fuse_layers import Layer

GRAY = torch.tensor([0.299, 0.587, 0.114]).reshape(1, 3, 1, 1)


class Sharpest:
    """HF-Seg in a line: the logit is how much larger a frame's Laplacian is, over 3 x 3 pixels."""

    config = SimpleNamespace(task="seg", sets=False, width=16, stride=1, reach=2)
    device = torch.device("cpu")
    precision = "fp32"

    def symmetric(self, a, b):
        one, other = (torch.conv2d((x * GRAY).sum(1, keepdim=True), LAPLACE, padding=1).abs() for x in (a, b))
        return 40 * torch.nn.functional.avg_pool2d(one - other, 3, 1, 1)

    __call__ = symmetric


class Mean(Sharpest):
    """HF-Reg in a line: the frames' mean."""

    config = SimpleNamespace(task="reg", sets=False, width=16, stride=1, reach=0)

    def symmetric(self, a, b):
        return (a + b) / 2

    __call__ = symmetric


LAPLACE = torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])[None, None]


def halves(height=64, width=96, seed=0):
    """A texture, and two frames of it, each sharp in one half."""
    sharp = cv2.GaussianBlur(np.random.default_rng(seed).random((height, width, 3), np.float32), None, 0.7)
    soft = cv2.GaussianBlur(sharp, None, 3)
    left = (np.arange(width) < width // 2)[None, :, None]
    return sharp, np.where(left, sharp, soft), np.where(left, soft, sharp)


def layer(pixels, low=0.0, high=1.0, shown=None):
    channels = 3 if pixels.ndim == 3 else 1
    return Layer(pixels, (1 / (high - low),) * channels, (-low / (high - low),) * channels, shown)
