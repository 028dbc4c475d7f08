"""The classic network: Y. Liu, X. Chen, H. Peng, Z. Wang, "Multi-focus image fusion with a deep convolutional
neural network", Information Fusion 36 (2017) 191-207, in its light form: without the inner fully connected
layer.

One branch serves both frames: patches of 16 x 16 gray pixels, at a stride of 2, become 8 x 8 features each.
Liu's last layer is linear in both patches' features side by side, with two scores whose difference decides.
Antisymmetrized, so that swapping the frames only negates it, it is one linear score of the features'
difference, without bias. Because it is linear, the logit is the difference of the two frames' sharpness, so
that any number of frames can be compared at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor, nn

from zoo.networks.shapes import BT601, CELLS, STRIDE

if TYPE_CHECKING:
    from zoo.networks.architecture import Shape


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
        self.head = nn.Conv2d(4 * width, 1, CELLS, padding=CELLS // 2, bias=False)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """See `zoo.networks.Network.forward`.

        A patch's center lies between pixels 2k - 1 and 2k. Upsampling the scores bilinearly and cutting one
        pixel off every side puts each score there.
        """
        height, width = a.shape[-2:]
        scores = self.head(self.features(a) - self.features(b)).float()
        logits = F.interpolate(scores, scale_factor=STRIDE, mode="bilinear", align_corners=False)
        return logits[..., 1 : 1 + height, 1 : 1 + width]

    def sharpness(self, frame: Tensor) -> Tensor:
        """How sharp a frame is in each patch; the difference between two frames' sharpness is a logit.

        Args:
            frame: N x 3 x H x W, float in [0, 1], sides of at least 16 pixels.

        Returns:
            N x 1 x (ceil(H / 2) - 7) x (ceil(W / 2) - 7), float32; patch k begins at pixel 2k.
        """
        return F.conv2d(self.features(frame), self.head.weight).float()

    def features(self, frame: Tensor) -> Tensor:
        """A frame's features, N x 4 width x ceil(H / 2) x ceil(W / 2)."""
        height, width = frame.shape[-2:]
        whole = F.pad(_gray(frame), (0, width % STRIDE, 0, height % STRIDE), mode="reflect")
        return self.branch(whole.to(self.head.weight.dtype))  # type: ignore[no-any-return]


def _gray(frame: Tensor) -> Tensor:
    """The luma of ITU-R BT.601, N x 1 x H x W."""
    red, green, blue = BT601
    return red * frame[:, :1] + green * frame[:, 1:2] + blue * frame[:, 2:]
