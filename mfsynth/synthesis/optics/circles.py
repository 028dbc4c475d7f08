"""How large the blur of each plane is in each frame: the thin lens's circle of confusion.

A thin lens of focal length f and aperture f/N that is focused at z_f images a point at distance z as a circle
of diameter c = (f²/N)·|z − z_f| / (z·(z_f − f)) on the sensor (M. Potmesil and I. Chakravarty, "A lens and
aperture camera model for synthetic image generation", SIGGRAPH 1981). The sensor is v = f·z_f / (z_f − f)
behind the lens, so that seen as an angle, which is what stays when focusing's change of scale is undone,

    c/v = (f/N)·|1/z_f − 1/z|:

linear in the difference of inverse distances, with nothing else in it. Planes lie at equal steps of inverse
distance, so the size is the recipe's, which is that between the outermost planes, times
|plane − k| / (planes − 1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mfsynth.recipe import Recipe


def blur_size(recipe: Recipe, distance: int) -> float:
    """The kernel's size, in pixels, for planes that many planes apart: sigma of a Gaussian, else radius."""
    optics = recipe.optics
    if optics is None:
        return recipe.blur.sigma if distance else 0.0
    largest = recipe.blur.sigma if recipe.blur.kernel == "gaussian" else optics.radius
    return largest * distance / (optics.planes - 1)
