"""What a data set's frames look like, in the words of its card: blur, edges, noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mfsynth.options import BuildOptions


def blur(options: BuildOptions) -> str:
    """The kernel and its sizes."""
    if options.kernel == "gaussian":
        low, high = options.sigma
        size = f"Gaussian, sigma from {low} to {high} pixels"
    else:
        low, high = options.radius
        shape = "disk" if options.kernel == "disk" else "polygon of an aperture's blades"
        size = f"{shape}, radius from {low} to {high} pixels"
    return f"{size}, one for each sample{_between(options)}"


def _between(options: BuildOptions) -> str:
    return ", for the distance between the outermost planes" if options.draw.depths > 2 else ""


def edges(options: BuildOptions) -> str:
    """What happens at edges, and in which values."""
    spread = "near objects out of focus spread over what is behind them"
    what = spread if options.boundary == "spread" else "hard"
    return f"{what}; in {'linear light' if options.light == 'linear' else 'sRGB values'}"


def noise(options: BuildOptions) -> str:
    """The noise, and the camera's JPEG."""
    camera = options.capture == "camera"
    low, high = options.noise
    if not high and not camera:
        return "none"
    kind = "Gaussian" if options.noise_model == "gaussian" else "Poisson-Gaussian in linear light"
    size = (
        f"standard deviation from {low} to {high} of full range, one for each sample"
        if high
        else "standard deviation up to 5 gray levels, in some samples"
    )
    jpeg = "; then JPEG in some samples, whose quality is in the recipe" if camera else ""
    return f"{kind}, {size}, independent in each frame{jpeg}"
