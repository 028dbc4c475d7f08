"""What the embedded split is drawn with: noise, surfaces, shading and outlines, without any state.

A `Paint` gives a surface of the size asked for. Pictures are H x W x 3, RGB, sRGB values in [0, 1],
float32; fields are H x W, float32; coverages are H x W, uint8, 255 inside and anti-aliased at the edge;
outlines are N x 2, x before y, in pixels. Light comes from the upper left.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Concatenate, ParamSpec

import cv2
import numpy as np

from mfsynth.coco.demo.shapes import (
    Field,
    Mask,
    Rng,
    rectangle,
    strokes,
)

Paint = Callable[[Rng, int, int], Field]

P = ParamSpec("P")

_FOLLOWS = np.array([[0.9], [1.0], [1.1]], np.float32)


def paint(texture: Callable[Concatenate[Rng, int, int, P], Field]) -> Callable[P, Paint]:
    """Split a texture's own arguments from generator and size: `wood("#8a5a34")` is a `Paint`."""

    def with_arguments(*args: P.args, **kwargs: P.kwargs) -> Paint:
        return lambda rng, height, width: texture(rng, height, width, *args, **kwargs)

    return with_arguments


# --- Colour and noise -------------------------------------------------------------------------------


def rgb(colour: str) -> Field:
    """The three values of a colour.

    >>> rgb("#ff0033").round(1).tolist()
    [1.0, 0.0, 0.20000000298023224]
    """
    return np.frombuffer(bytes.fromhex(colour[1:]), np.uint8).astype(np.float32) / np.float32(255)


def mixed(first: str, second: str, share: float) -> str:
    """The colour that lies `share` of the way from the first to the second."""
    values = rgb(first) * (1 - share) + rgb(second) * share
    return "#" + bytes((values * 255 + 0.5).astype(np.uint8)).hex()


def varied(rng: Rng, colour: str, spread: float = 0.06) -> str:
    """A colour near the given one: a little lighter or darker, a little off in hue."""
    values = rgb(colour) * (1 + spread * rng.standard_normal()) + 0.2 * spread * rng.standard_normal(3)
    return "#" + bytes((values.clip(0, 1) * 255 + 0.5).astype(np.uint8)).hex()


def toned(colour: str, value: Field) -> Field:
    """A colour times a field; blue follows more and red less, since shade indoors and sun are both warm."""
    share = rgb(colour)[:, None] * _FOLLOWS
    return np.asarray(cv2.transform(value, np.hstack([share, rgb(colour)[:, None] - share])), np.float32)


def flat(colour: str, height: int, width: int) -> Field:
    """A picture of one colour."""
    return toned(colour, np.ones((height, width), np.float32))


def shaded(picture: Field, light: Field) -> Field:
    """A picture times a field."""
    return np.asarray(cv2.multiply(picture, cv2.merge([light, light, light])), np.float32)


def blend(first: Field | str, second: Field | str, share: Field) -> Field:
    """From the first picture or colour to the second, by a field in [0, 1]."""
    share = np.ascontiguousarray(share)
    over, under = (flat(x, *share.shape) if isinstance(x, str) else x for x in (second, first))
    return np.asarray(cv2.blendLinear(over, under, share, 1 - share), np.float32)


def cloud(
    rng: Rng,
    height: int,
    width: int,
    cell: float = 160,
    stretch: tuple[float, float] = (1, 1),
    fade: float = 0.7,
) -> Field:
    """Fractal noise around 0, spread about 1: octaves from `cell` pixels down, each `fade` times the last.

    `stretch` scales the cells' height and width, for grain and fibres.
    """
    total = np.zeros((1, 1), np.float32)
    weight, power = 1.0, 0.0
    while cell >= 1.5:
        rows = min(height, int(height / (cell * stretch[0])) + 2)
        columns = min(width, int(width / (cell * stretch[1])) + 2)
        noise = rng.standard_normal((rows, columns), np.float32)
        # Octave by octave to the next finer grid: a third of the time of enlarging each to full size.
        total = _resized(total, rows, columns) + np.float32(weight) * noise
        power += weight**2
        weight, cell = weight * fade, cell / 2
    return _resized(total, height, width) * np.float32(1.5 / max(power, 1e-6) ** 0.5)


def _resized(grid: Field, rows: int, columns: int) -> Field:
    return np.asarray(cv2.resize(grid, (columns, rows), interpolation=cv2.INTER_CUBIC), np.float32)


def smooth(field: Field, low: float, high: float) -> Field:
    """0 below `low`, 1 above `high`, a smooth step between."""
    t = ((field - low) / (high - low)).clip(0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def ramp(height: int, width: int) -> tuple[Field, Field]:
    """Rows' and columns' position from 0 to 1, as a column and a row that broadcast."""
    return (
        np.linspace(0, 1, height, dtype=np.float32)[:, None],
        np.linspace(0, 1, width, dtype=np.float32)[None, :],
    )


def slopes(height: Field) -> tuple[Field, Field]:
    """The rise of a height field to the right and downward, in pixels a pixel."""
    right = cv2.Scharr(height, cv2.CV_32F, 1, 0, scale=1 / 32)
    down = cv2.Scharr(height, cv2.CV_32F, 0, 1, scale=1 / 32)
    return np.asarray(right, np.float32), np.asarray(down, np.float32)


def relief(height: Field, strength: float) -> Field:
    """How bright a surface of this height is in light from the upper left, around 1."""
    right, down = slopes(height)
    return np.asarray((1 + strength * (0.6 * right + 0.8 * down)).clip(0.4, 1.6), np.float32)


def dome(coverage: Mask, radius: float) -> tuple[Field, Field]:
    """Shade (around 1) and gloss (0 to 1) of a shape whose rim is rounded with a radius in pixels."""
    solid = (coverage >= 128).astype(np.uint8)
    depth = cv2.distanceTransform(solid, cv2.DIST_L2, cv2.DIST_MASK_5)
    rim = (1 - depth / radius).clip(0, 1)
    height = radius * np.sqrt(1 - rim * rim)
    height = cv2.GaussianBlur(height, (0, 0), max(0.07 * radius, 0.7))
    right, down = slopes(np.asarray(height, np.float32))
    length = np.sqrt(right**2 + down**2 + 1)
    facing = (0.46 * right + 0.56 * down + 0.69) / length
    mirrored = ((0.25 * right + 0.32 * down + 0.91) / length).clip(0, 1)
    return 0.42 + 0.82 * facing.clip(0, 1), mirrored**60


def spun(coverage: Mask) -> tuple[Field, Field]:
    """Shade and gloss of an upright turned body, as `dome` gives them: every row is round on its own."""
    solid = coverage >= 128
    columns = np.arange(coverage.shape[1], dtype=np.float32)
    left = solid.argmax(1)[:, None].astype(np.float32)
    right = coverage.shape[1] - 1 - solid[:, ::-1].argmax(1)[:, None].astype(np.float32)
    x = (2 * (columns - left) / (right - left).clip(1) - 1).clip(-1, 1)
    facing = 0.72 * np.sqrt(1 - x * x) - 0.55 * x
    return (0.4 + 0.76 * facing.clip(-0.1, 1)).astype(np.float32), np.exp(-(((x + 0.5) / 0.13) ** 2))


# --- Surfaces ---------------------------------------------------------------------------------------


@paint
def plain(rng: Rng, height: int, width: int, colour: str, rough: float = 0.03) -> Field:
    """Paint, paper, clay: one colour with faint stains."""
    return toned(colour, 1 + np.float32(rough) * cloud(rng, height, width, fade=0.8))


@paint
def mottled(rng: Rng, height: int, width: int, colour: str, spots: str, cell: float = 50) -> Field:
    """Skin of a fruit or a leaf: one colour with soft spots of another."""
    skin = toned(colour, 1 + 0.07 * cloud(rng, height, width, cell=40, fade=0.8))
    return blend(skin, spots, smooth(cloud(rng, height, width, cell=cell, fade=0.75), 0.1, 2.4))


@paint
def faded(rng: Rng, height: int, width: int, top: str, bottom: str, rough: float = 0.02) -> Field:
    """A gradient from top to bottom, with faint stains."""
    down, _ = ramp(height, width)
    stains = 1 + np.float32(rough) * cloud(rng, height, width)
    return shaded(blend(top, bottom, np.broadcast_to(down, (height, width))), stains)


@paint
def plaster(rng: Rng, height: int, width: int, colour: str) -> Field:
    """A wall with trowel marks and stains."""
    bumps = cloud(rng, height, width, cell=24, stretch=(0.7, 1.4), fade=0.8)
    return toned(colour, relief(bumps, 0.12) + np.float32(0.035) * cloud(rng, height, width, cell=300))


@paint
def wood(rng: Rng, height: int, width: int, colour: str, period: float = 16) -> Field:
    """Wood with its grain lying across the picture."""
    warp = cloud(rng, height, width, cell=max(width / 2, 8), stretch=(0.35, 1), fade=0.45)
    rows = np.arange(height, dtype=np.float32)[:, None] / np.float32(period)
    rings = np.sin(2 * np.pi * (rows + 0.9 * warp))
    pores = cloud(rng, height, width, cell=120, stretch=(0.03, 1), fade=0.8)
    return toned(colour, (1 + 0.09 * rings * np.abs(rings) + 0.085 * pores).clip(0.3, 1.5))


@paint
def planks(rng: Rng, height: int, width: int, colour: str, boards: int = 6) -> Field:
    """Boards lying across the picture, with dark gaps."""
    edges = np.linspace(0, height, boards + 1).astype(int)
    boards_seen = [wood(varied(rng, colour, 0.05))(rng, max(1, rows), width) for rows in np.diff(edges)]
    picture = np.concatenate(boards_seen)[:height]
    line, gap = np.ones((height, 1, 1), np.float32), np.array([0.75, 0.4, 0.25, 0.6, 1.1], np.float32)
    for edge in edges[1:-1]:
        line[max(0, edge - 2) : edge + 3, 0, 0] = gap[: height - edge + 2]
    return picture * line


@paint
def upright(rng: Rng, height: int, width: int, lying: Paint) -> Field:
    """Another surface turned by a quarter."""
    return np.ascontiguousarray(lying(rng, width, height).swapaxes(0, 1))


@paint
def receding(rng: Rng, height: int, width: int, floor: Paint) -> Field:
    """Another surface seen as floor: wide and near at the bottom, narrow and far at the top."""
    rows, columns = int(1.7 * height), int(1.4 * width)
    source = rectangle(0, 0, columns, rows).astype(np.float32)
    corners = [[0, 0], [width, 0], [1.5 * width, height], [-0.5 * width, height]]
    view = cv2.getPerspectiveTransform(source, np.array(corners, np.float32))
    seen = cv2.warpPerspective(
        floor(rng, rows, columns), view, (width, height), borderMode=cv2.BORDER_REFLECT
    )
    return np.asarray(seen, np.float32)


@paint
def wrapped(rng: Rng, height: int, width: int, skin: Paint, tilt: float = 0.0) -> Field:
    """Another surface wrapped around the ball that fills the picture."""
    down, right = ramp(height, width)
    x, y = np.broadcast_arrays(2 * right - 1, 2 * down - 1)
    x, y = x * np.cos(tilt) - y * np.sin(tilt), x * np.sin(tilt) + y * np.cos(tilt)
    around = np.arcsin((x / np.sqrt((1 - y * y).clip(0.02, 1))).clip(-1, 1)) / np.pi + 0.5
    along = np.arcsin(y.clip(-1, 1)) / np.pi + 0.5
    column, row = (around * (width - 1)).astype(np.float32), (along * (height - 1)).astype(np.float32)
    return np.asarray(cv2.remap(skin(rng, height, width), column, row, cv2.INTER_LINEAR), np.float32)


@paint
def brick(
    rng: Rng,
    height: int,
    width: int,
    colour: str,
    mortar: str,
    size: tuple[float, float] = (15, 38),
    joint: float = 1.2,
) -> Field:
    """Courses of bricks or setts; `size` is height and width of one, in pixels."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    x, y = x + 1.2 * cloud(rng, height, width, cell=20), y + 0.8 * cloud(rng, height, width, cell=20)
    row = np.floor(y / size[0])
    column = x / size[1] + 0.5 * (row % 2)
    tones = 1 + np.float32(0.11) * rng.standard_normal((64, 64)).astype(np.float32)
    tone = tones[row.astype(int) % 64, np.floor(column).astype(int) % 64]
    beside, above = (
        (0.5 - np.abs(column % 1 - 0.5)) * size[1],
        (0.5 - np.abs(y / size[0] % 1 - 0.5)) * size[0],
    )
    face = smooth(np.minimum(beside, above), joint - 0.8, joint + 1.0)
    grit = relief(3 * face + np.float32(0.5) * cloud(rng, height, width, cell=8, fade=0.9), 0.22)
    return blend(toned(mortar, grit), toned(colour, tone * grit), face)


@paint
def fabric(
    rng: Rng, height: int, width: int, colours: tuple[str, ...], band: int = 34, folds: float = 0.1
) -> Field:
    """Woven cloth: a check of the colours, one thread over another, lying in soft folds."""
    order = rng.integers(0, len(colours), 64)
    table = np.stack([rgb(colour) for colour in colours])
    widths = rng.integers(band // 5 + 1, band + 1, 64)
    sequence = np.resize(np.repeat(order, widths), max(height, width))
    weft = np.repeat(table[sequence[:height], None], width, 1)
    warp = np.repeat(table[None, sequence[:width]], height, 0)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    over = 0.5 + 0.42 * np.sin((x + y) * np.pi / 3) * np.sin((x - y) * np.pi / 3)
    drape = cv2.GaussianBlur(cloud(rng, height, width, cell=150, stretch=(1.2, 0.6), fade=0.4), (0, 0), 5)
    light = relief(np.asarray(drape, np.float32), 90 * folds) * (
        0.94 + 0.06 * cloud(rng, height, width, cell=4)
    )
    return shaded(blend(weft, warp, over), light * (0.88 + 0.2 * over))


@paint
def stripes(rng: Rng, height: int, width: int, colours: tuple[str, ...], period: float) -> Field:
    """Upright stripes, one colour each, as on an awning or a wallpaper."""
    x = np.arange(width, dtype=np.float32) / np.float32(period)
    table = np.stack([rgb(colour) for colour in colours])
    row = table[np.floor(x).astype(int) % len(colours)]
    shade = 1 + 0.03 * cloud(rng, height, width, fade=0.8)
    return shaded(np.repeat(row[None], height, 0), shade)


@paint
def yarn(rng: Rng, height: int, width: int, colour: str) -> Field:
    """Wool wound in several directions."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    patch = cloud(rng, height, width, cell=max(height, width) / 2, fade=0.3)
    angle = np.float32(0.9) * np.round(patch * 1.5) + np.float32(rng.uniform(0, 3))
    across = x * np.cos(angle) + y * np.sin(angle)
    thread = np.abs(np.sin(across * np.pi / 5.5))
    fuzz = cloud(rng, height, width, cell=4, fade=0.9)
    return toned(colour, 0.62 + 0.45 * thread + 0.07 * fuzz)


@paint
def granite(rng: Rng, height: int, width: int, colour: str, vein: float = 0.0) -> Field:
    """Stone, speckled; with `vein` above 0 a light band runs through it."""
    speckle = cloud(rng, height, width, cell=5, fade=1.0)
    stone = toned(colour, 1 + 0.07 * cloud(rng, height, width, cell=50) + 0.07 * speckle)
    down, right = ramp(height, width)
    way = down - 0.5 + rng.uniform(-0.6, 0.6) * (right - 0.5) + 0.04 * cloud(rng, height, width, cell=60)
    return blend(stone, "#e9e4da", np.float32(vein) * (1 - smooth(np.abs(way), 0.02, 0.09)))


@paint
def sand(rng: Rng, height: int, width: int, colour: str, ripple: float = 0.5) -> Field:
    """Sand or soil with ripples and grains."""
    y = np.arange(height, dtype=np.float32)[:, None]
    waves = np.sin(y / 5.5 + 2.4 * cloud(rng, height, width, cell=120, stretch=(0.5, 1)))
    grains = cloud(rng, height, width, cell=3.5, fade=1.0)
    dunes = cloud(rng, height, width, cell=80, fade=0.75)
    return toned(colour, relief(4 * dunes + 2 * ripple * waves + 0.35 * grains, 0.22) + 0.07 * grains)


@paint
def sky(rng: Rng, height: int, width: int, top: str, bottom: str, cover: float = 0.5) -> Field:
    """A gradient with clouds; `cover` from 0 (clear) to 1."""
    down = np.broadcast_to(ramp(height, width)[0], (height, width))
    air = blend(top, bottom, down**0.8)
    puffs = cloud(rng, height, width, cell=220, stretch=(0.42, 1), fade=0.58)
    dense = smooth(puffs, 1.1 - 1.6 * cover, 2.4 - 1.6 * cover)
    lit = relief(cv2.GaussianBlur(puffs, (0, 0), 3).astype(np.float32) * 10, 0.55)
    white = toned(mixed(bottom, "#ffffff", 0.75), 0.86 + 0.14 * lit)
    return blend(air, white, dense * (0.92 - 0.35 * down))


@paint
def water(rng: Rng, height: int, width: int, near: str, far: str) -> Field:
    """Open water: ripples that lie closer toward the top, and glints."""
    deep = cloud(rng, 2 * height, width, cell=70, stretch=(0.09, 1), fade=0.8)
    down = ramp(height, width)[0]
    ripples = deep[(down[:, 0] ** 0.6 * (2 * height - 1)).astype(int)]
    base = blend(far, near, np.broadcast_to(down**0.7, (height, width)))
    glints = smooth(ripples, 1.3, 2.6) * (0.25 + 0.55 * (1 - down))
    return blend(shaded(base, 1 + (0.05 + 0.1 * down) * ripples), "#fff6e4", glints)


@paint
def turf(rng: Rng, height: int, width: int, near: str, far: str, blade: float = 26) -> Field:
    """Grass seen from standing height: blades that grow longer toward the bottom."""
    picture = faded(far, near, rough=0.08)(rng, height, width) * 0.72
    canvas = np.ascontiguousarray((picture * 255).clip(0, 255).astype(np.uint8))
    count = height * width // 22
    y = np.sort(height * rng.uniform(-0.02, 1, count))
    share = (y / height).clip(0, 1)
    x = rng.uniform(0, width, count)
    long = blade * (0.12 + 0.88 * share**1.3) * rng.uniform(0.5, 1.2, count)
    roots = np.stack([x, y + 0.5 * long], 1)
    tips = roots + np.stack([long * rng.normal(0.12, 0.3, count), -long], 1)
    for part in np.array_split(np.arange(count), 90):
        colour = rgb(varied(rng, mixed(far, near, float(share[part].mean())), 0.16)) * 255
        strokes(canvas, np.stack([roots[part], tips[part]], 1), colour.tolist())
    return canvas.astype(np.float32) / np.float32(255)


@paint
def metal(rng: Rng, height: int, width: int, colour: str) -> Field:
    """Brushed metal with a few broad reflections."""
    brushed = cloud(rng, height, width, cell=60, stretch=(0.03, 1), fade=0.9)
    sheen = cloud(rng, height, 1, cell=60, fade=0.4)
    return toned(colour, (1 + 0.06 * brushed + 0.1 * sheen).clip(0.4, 1.7))


@paint
def bark(rng: Rng, height: int, width: int, colour: str) -> Field:
    """Bark, its ridges upright."""
    ridges = cloud(rng, height, width, cell=14, stretch=(3, 0.5), fade=0.8)
    return toned(colour, relief(2 * ridges, 0.5) + 0.12 * ridges)
