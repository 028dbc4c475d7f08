"""Measures of a fused picture: the paper's seven, PSNR and SSIM."""

from zoo.metrics.contrast import q_cb
from zoo.metrics.gradient import q_g
from zoo.metrics.information import q_mi, q_ncie, q_te
from zoo.metrics.phase import q_p
from zoo.metrics.planes import gray
from zoo.metrics.score import Sources, score
from zoo.metrics.structure import psnr, q_s, ssim, ssim_map

__all__ = [
    "Sources",
    "gray",
    "psnr",
    "q_cb",
    "q_g",
    "q_mi",
    "q_ncie",
    "q_p",
    "q_s",
    "q_te",
    "score",
    "ssim",
    "ssim_map",
]
