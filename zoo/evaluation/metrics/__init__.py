"""Measures of a fused picture: the paper's seven, PSNR and SSIM."""

from zoo.evaluation.metrics.contrast import q_cb
from zoo.evaluation.metrics.gradient import q_g
from zoo.evaluation.metrics.information import q_mi, q_ncie, q_te
from zoo.evaluation.metrics.phase import q_p
from zoo.evaluation.metrics.planes import gray
from zoo.evaluation.metrics.score import Sources, score
from zoo.evaluation.metrics.structure import psnr, q_s, ssim, ssim_map

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
