"""The classic network: Y. Liu, X. Chen, H. Peng, Z. Wang, "Multi-focus image fusion with a deep convolutional
neural network", Information Fusion 36 (2017) 191-207, in its slight form: without the inner fully connected
layer.

One branch serves both frames: patches of 16 x 16 gray pixels, at a stride of 2, become 8 x 8 features each.
Liu's last layer is linear on both patches' features side by side, with two scores whose difference decides.
Antisymmetrised, so that a swap of the frames turns it round and does nothing else, it is one linear score of
the features' difference, without bias. By linearity the logit then is the difference of two frames'
sharpness: any number of frames can be compared at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from zoo.networks.architecture import Shape

PATCH = 16
"""Side of a patch, in pixels."""
STRIDE = 2
"""Pixels from one patch to the next."""
REACH = 13
"""A logit is interpolated between patches that reach 9 pixels; a convolution at half resolution adds 2, two
at full resolution 1 each."""

_CELLS = PATCH // STRIDE


class Siamese(nn.Module):
    """Liu's network, over whole pictures.

    Args:
        config: Its `width` counts the first layer's channels; the others have twice and four times as many.
    """

    def __init__(self, config: Shape) -> None:
        super().__init__()
        width = config.width
        self.branch = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, 2 * width, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(STRIDE),
            nn.Conv2d(2 * width, 4 * width, 3, padding=1),
            nn.ReLU(inplace=True),
        )
        self.head = nn.Conv2d(4 * width, 1, _CELLS, padding=_CELLS // 2, bias=False)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """See `zoo.networks.Network.forward`.

        A patch's centre lies between pixels 2k - 1 and 2k: doubled bilinearly and cut by one pixel at every
        side, its score comes to lie there.
        """
        height, width = a.shape[-2:]
        scores = self.head(self.features(a) - self.features(b)).float()
        logits = F.interpolate(scores, scale_factor=STRIDE, mode="bilinear", align_corners=False)
        return logits[..., 1 : 1 + height, 1 : 1 + width]

    def sharpness(self, frame: Tensor) -> Tensor:
        """How sharp each patch within a frame is: the difference of two frames' sharpness is a logit.

        Args:
            frame: N x 3 x H x W, float in [0, 1], sides of 16 pixels and more.

        Returns:
            N x 1 x (ceil(H / 2) - 7) x (ceil(W / 2) - 7), float32: patch k begins at pixel 2k.
        """
        return F.conv2d(self.features(frame), self.head.weight).float()

    def features(self, frame: Tensor) -> Tensor:
        """A frame's features, N x 4 width x ceil(H / 2) x ceil(W / 2)."""
        height, width = frame.shape[-2:]
        whole = F.pad(_gray(frame), (0, width % STRIDE, 0, height % STRIDE), mode="reflect")
        return self.branch(whole.to(self.head.weight.dtype))  # type: ignore[no-any-return]


def _gray(frame: Tensor) -> Tensor:
    """The luma, N x 1 x H x W."""
    return 0.299 * frame[:, :1] + 0.587 * frame[:, 1:2] + 0.114 * frame[:, 2:]


def allowed(_: Shape) -> Mapping[str, Sequence[object]]:
    """The values that the network's shape may have: the classic one is HF-Seg, at one depth."""
    return {
        "task": ("seg",),
        "width": range(1, 1025),
        "depth": (1,),
        "out_channels": (1,),
        "padding": ("same",),
        "upsampling": ("bilinear",),
        "residual": (False,),
    }
