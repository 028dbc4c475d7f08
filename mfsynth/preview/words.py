"""A recipe in words: how its frames are blurred, what noise they have, how the camera took them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mfsynth.sample import Optics, Recipe, Shot


def blur_words(recipe: Recipe, digits: int = 2) -> str:
    """The kernel and its size; only the size for a Gaussian, the kernel of format 1."""
    optics, blur = recipe.optics, recipe.blur
    if optics is None or blur.kernel == "gaussian":
        return f"σ = {blur.sigma:.{digits}f} px"
    corners = f" with {optics.blades} corners" if optics.blades else ""
    return f"{blur.kernel}{corners}, radius {optics.radius:.{digits}f} px"


def noise_words(recipe: Recipe) -> str:
    """The noise and its strength; empty where there is none."""
    optics = recipe.optics
    if optics is not None and optics.noise_model == "poisson-gaussian":
        if not (optics.shot_noise or optics.read_noise):
            return ""
        return f"{shot_deviation(optics):.2%} at white, {optics.read_noise:.2%} at black"
    sigma = max(frame.noise_sigma for frame in recipe.frames)
    return f"σ = {sigma:.3f}" if sigma else ""


def shot_deviation(optics: Optics) -> float:
    """The shot noise's standard deviation at white, as a fraction of full range of linear light."""
    return math.sqrt(optics.shot_noise)


def edge_words(recipe: Recipe) -> str:
    """Edges and light, of format 2; empty in format 1."""
    optics = recipe.optics
    if optics is None:
        return ""
    return f"{optics.boundary}, {'linear light' if optics.light == 'linear' else 'sRGB'}"


def quality_words(recipe: Recipe) -> str:
    """The JPEG qualities of all frames; empty where none is compressed."""
    qualities = [shot.quality for shot in recipe.optics.frames if shot.quality] if recipe.optics else []
    if not qualities:
        return ""
    low, high = min(qualities), max(qualities)
    return f"JPEG {low}" if low == high else f"JPEG {low} to {high}"


def breathing_words(recipe: Recipe) -> str:
    """By how much the frames' scales differ from frame 0's at most; empty where no frame is moved."""
    shots = recipe.optics.frames if recipe.optics else ()
    if not any(_moves(shot) for shot in shots):
        return ""
    largest = max((shot.scale for shot in shots), key=lambda scale: abs(scale - 1))
    return f"breathing {largest - 1:+.2%}"


def shot_words(shot: Shot) -> str:
    """How one frame was taken; empty where nothing is done to it."""
    words = []
    if _moves(shot):
        words += [
            f"scale {shot.scale:.4f}",
            f"shift ({shot.shift_x:+.1f}, {shot.shift_y:+.1f}) px",
            f"rotation {math.degrees(shot.rotation):+.2f}°",
            f"exposure {shot.exposure:+.2f} stops",
        ]
    if shot.quality:
        words.append(f"JPEG {shot.quality}, grid ({shot.grid_x}, {shot.grid_y})")
    return ", ".join(words)


def _moves(shot: Shot) -> bool:
    return (shot.scale, shot.shift_x, shot.shift_y, shot.rotation, shot.exposure) != (1, 0, 0, 0, 0)
