"""Things to draw. Where one stands, x and y are the middle of its foot; where it lies or hangs, its middle.

Lengths are in pixels, and most follow the picture's height.
"""

from __future__ import annotations

import cv2
import numpy as np

from mfsynth.coco.demo import shapes as sh
from mfsynth.coco.demo import textures as tx
from mfsynth.coco.demo.canvas import Canvas, Surface, bounds
from mfsynth.coco.demo.shapes import Points, ellipse, rectangle, turned
from mfsynth.coco.demo.textures import Paint, mixed, varied

_TITLES = "OPTICS,FIELD NOTES,ATLAS,DEPTH,GARDENS,TIDES,PATTERNS,LIGHT & LENS,MAPS,BOTANY,FOCUS,COLOUR,"
_TITLES += "NIGHT SKY,SHELLS,TREES,A-Z,RIVERS,STONES,WEAVING,HARBOURS,PAPER,BIRDS"


def backdrop(c: Canvas, category: str, top: float, bottom: float, surface: Surface, rough: float = 0) -> None:
    """Fill from `top` to `bottom` (shares of the height) across the picture; the top undulates by `rough`."""
    x = np.linspace(-4, c.width + 4, 90)
    line = tx.cloud(c.rng, 1, 90, cell=45, fade=0.5)[0] * rough * c.height
    edge = np.stack([x, top * c.height - 1 + line], 1)
    foot = [[c.width + 4, bottom * c.height + 2], [-4, bottom * c.height + 2]]
    c.put(c.segment(category), np.concatenate([edge, foot]), surface)


def room(c: Canvas, wall: Paint, table: Paint, line: float) -> None:
    """A wall and a table that ends at `line`, a share of the height."""
    backdrop(c, "wall", 0, line + 0.04, wall)
    backdrop(c, "table", line, 1, tx.receding(table))
    c.shade(rectangle(0, (line - 0.015) * c.height, c.width, line * c.height), 0.4, 8)


def lines(
    c: Canvas, segment: int | None, points: Points, ink: str, thickness: int = 1, opacity: float = 1
) -> None:
    """Polylines (count x points x 2), as part of a segment or, with None, of what they lie on."""
    coverage = np.zeros((c.height, c.width), np.uint8)
    sh.strokes(coverage, points, 255, thickness)
    if segment is None:
        c.decal(coverage, ink, opacity)
    else:
        c.put(segment, coverage, ink)


def ball(
    c: Canvas, x: float, y: float, radius: float, surface: Surface, gloss: float = 0.35, name: str = "ball"
) -> int:
    """A ball that stands on something."""
    c.shade(ellipse(x + 0.55 * radius, y - 0.08 * radius, 1.15 * radius, 0.24 * radius), 0.55, 0.16 * radius)
    segment = c.segment(name)
    c.put(segment, ellipse(x, y - radius, radius, radius), surface, bulge=radius, gloss=gloss)
    return segment


def fruit(c: Canvas, x: float, y: float, radius: float) -> None:
    """An apple, an orange or a plum, with its stalk."""
    kinds = "#c9772a #d98f35", "#a8392f #c98a3f", "#8a9a3c #b9a548", "#5c3a55 #7a4a5c"
    skin, blush = c.one_of(*kinds).split()
    segment = ball(c, x, y, radius, tx.mottled(skin, varied(c.rng, blush)), 0.3, "fruit")
    c.shade(ellipse(x, y - 1.7 * radius, 0.24 * radius, 0.1 * radius), 0.5, 0.07 * radius)
    stalk = np.array([[[0, -1.72], [0.08, -2.02], [0.2, -2.2]]]) * radius + [x, y]
    lines(c, segment, stalk, "#4a3826", max(2, round(radius / 12)))


def vase(
    c: Canvas, x: float, y: float, height: float, radii: str, surface: Surface, gloss: float = 0.35
) -> int:
    """A turned vessel; its radii, from the mouth to the foot, are hundredths of its height."""
    sizes = [float(radius) * height / 100 for radius in radii.split()]
    c.shade(ellipse(x + 0.5 * sizes[-1], y, 1.8 * sizes[-1], 0.35 * sizes[-1]), 0.55, 0.2 * sizes[-1])
    segment = c.segment("vase")
    c.put(segment, ellipse(x, y, sizes[-1], 0.16 * sizes[-1]), surface, light=0.45)
    c.put(segment, sh.lathe(x, y - height, y, sizes), surface, gloss=gloss, spun=True)
    c.put(segment, ellipse(x, y - height, sizes[0], 0.2 * sizes[0]), surface, light=0.95)
    c.decal(ellipse(x, y - 0.98 * height, 0.84 * sizes[0], 0.15 * sizes[0]), "#2b2320", 0.85)
    return segment


def label(c: Canvas, area: tuple[float, float, float, float], text: str) -> None:
    """A paper label, as part of what it sticks to."""
    left, top, right, bottom = area
    c.decal(rectangle(*area), tx.plain("#e9e0cb"), 0.92)
    rim = 0.14 * (bottom - top)
    c.text((left, top + rim, right, bottom - rim), text, "#3a302a")


def tin(c: Canvas, x: float, y: float, height: float, colour: str, text: str) -> None:
    """A tin with a label."""
    vase(c, x, y, height, "34 34 34 34", tx.metal(colour), 0.25)
    label(c, (x - 0.33 * height, y - 0.75 * height, x + 0.33 * height, y - 0.3 * height), text)


def box(c: Canvas, x: float, y: float, width: float, height: float, surface: Surface, text: str) -> None:
    """A box with a label, seen from the front, a little from above and from its right."""
    left, right, top, over, up = x - width / 2, x + width / 2, y - height, 0.35 * width, 0.14 * width
    floor = np.array([[left, y], [right, y], [right + 2 * over, y - up], [left + over, y - up]])
    c.shade(floor, 0.55, 0.05 * width, (3, 2))
    side = np.array([[right, top], [right + over, top - up], [right + over, y - up], [right, y]])
    lid = np.array([[left, top], [left + over, top - up], [right + over, top - up], [right, top]])
    segment = c.segment("box")
    for face, light in ((side, 0.62), (lid, 1.18), (rectangle(left, top, right, y), 0.95)):
        c.put(segment, face, surface, light=light)
    label(c, (x - 0.34 * width, top + 0.3 * height, x + 0.34 * width, top + 0.64 * height), text)


def book(c: Canvas, left: float, y: float, width: float, height: float, colour: str) -> None:
    """A book's spine, upright, with bands and a title."""
    pale, top, middle = float(tx.rgb(colour).mean()) > 0.5, y - height, left + width / 2
    ink = c.one_of("#3a2a22", "#5a2a24") if pale else c.one_of("#ead9ae", "#e8e4da", "#dcb96c")
    spine = rectangle(left, top, left + width, y)
    c.put(c.segment("book"), spine, tx.plain(colour, 0.06), shadow=3, spun=True)
    for at in (0.06, 0.085, 0.9, 0.925):
        band = rectangle(left + 2, top + at * height, left + width - 2, top + at * height + 2.2)
        c.decal(band, ink, 0.75)
    if not pale and c.rng.random() < 0.4:
        panel = rectangle(left + 1, top + 0.15 * height, left + width - 1, top + 0.82 * height)
        c.decal(panel, varied(c.rng, "#2e2a2c"), 0.35)
    half = min(0.31 * width, 13)
    c.text(
        (middle - half, top + 0.17 * height, middle + half, top + 0.8 * height),
        c.one_of(*_TITLES.split(",")),
        ink,
        upright=True,
    )


def sign(
    c: Canvas, x: float, y: float, width: float, height: float, text: str, colours: str, foot: float = 0
) -> None:
    """A board around (x, y), its colour and its text's in `colours`; with `foot`, on a post down to there."""
    segment, (board, ink) = c.segment("sign"), colours.split()
    if foot:
        post = rectangle(x - 0.035 * width, y, x + 0.035 * width, foot)
        c.put(segment, post, tx.upright(tx.metal("#8b8a86")), spun=True)
    outline = rectangle(x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    c.put(segment, outline, tx.plain(board, 0.05), bulge=0.03 * width, shadow=4)
    for inset, colour in ((0.05 * height, ink), (0.095 * height, board)):
        c.decal(outline + np.sign([x, y] - outline) * inset, tx.plain(colour, 0.05))
    c.text((x - 0.43 * width, y - 0.33 * height, x + 0.43 * width, y + 0.33 * height), text, ink)


def framed(c: Canvas, x: float, y: float, width: float, height: float) -> None:
    """A framed landscape that hangs around (x, y)."""
    inside = rectangle(x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    outward = np.sign(inside - [x, y])
    frame = inside + outward * 0.11 * height
    c.put(c.segment("picture"), frame, tx.wood("#6e4a30", 7), bulge=0.05 * height, shadow=6)
    c.shade(inside + outward, 0.6, 1.5)
    c.decal(inside, tx.sky("#7f9fb5", "#ecd9b8", 0.6))
    for share, colour in ((0.1, "#7f8f94"), (0.22, "#66805f"), (0.33, "#8f9a52")):
        crest = height * (share + 0.25 * tx.cloud(c.rng, 1, 24, cell=12, fade=0.5)[0] * (0.4 - share))
        edge = np.stack([x + np.linspace(-0.5, 0.5, 24) * width, y + crest], 1)
        c.decal(np.concatenate([edge, inside[2:]]), tx.plain(colour, 0.08))


def leaf(c: Canvas, x: float, y: float, length: float, angle: float, colour: str, slim: float) -> None:
    """A leaf lying flat, with veins and blotches."""
    t = np.linspace(0, 1, 42)
    teeth = 1 + 0.07 * (np.arange(42) % 3 - 1)
    half = np.stack([0 * t, slim * length * np.sin(np.pi * t**0.75).clip(0) ** 0.9 * teeth], 1)
    bend = 0.08 * length * np.sin(np.pi * t) * c.between(-1, 1)
    spine = np.stack([x + (t - 0.5) * length, y + bend], 1)
    segment = c.segment("leaf")
    stalk = np.stack([spine[0] + [-0.22 * length, 0.06 * length], spine[0], spine[3]])[None]
    lines(c, segment, turned(stalk, angle, x, y), mixed(colour, "#4a3020", 0.5), max(2, round(length / 60)))
    edge = turned(np.concatenate([spine + half, (spine - half)[::-1]]), angle, x, y)
    skin = tx.mottled(colour, varied(c.rng, mixed(colour, "#7a4a20", 0.6)))
    c.put(segment, edge, skin, bulge=0.1 * length, shadow=5)
    pale, roots = mixed(colour, "#f6e7b4", 0.5), np.arange(4, 34, 4)
    lines(c, None, turned(spine[None, 1:-1], angle, x, y), pale, max(1, round(length / 70)), 0.75)
    for side in (-0.86, 0.86):
        veins = np.stack([spine[roots], spine[roots + 6] + side * half[roots + 6]], 1)
        lines(c, None, turned(veins, angle, x, y), pale, 1, 0.6)


def foliage(c: Canvas, segment: int, centres: Points, size: float, dark: str, sunny: str) -> None:
    """Small leaves around the centres, those toward the light brighter and in front."""
    count, middle = len(centres), centres.mean(0)
    sun = (middle - centres) @ [0.5, 0.85] / (np.abs(centres - middle).max() + 1)
    order = np.argsort(sun + c.rng.normal(0, 0.35, count))
    share = 0.35 * np.linspace(0, 1, count) + 0.55 * (sun[order] + 0.6) + c.rng.normal(0, 0.08, count)
    tints = tx.rgb(dark) + (tx.rgb(sunny) - tx.rgb(dark)) * share[:, None]
    tints = (255 * tints * (0.6 + 0.5 * share).clip(0, 1)[:, None]).clip(0, 255)
    axes = size * c.rng.uniform(0.6, 1.3, (count, 2)) * [2, 1.1]
    coverage = np.zeros((c.height, c.width), np.uint8)
    picture = np.zeros((c.height, c.width, 3), np.uint8)
    for centre, axis, angle, tint in zip(
        centres[order].tolist(),
        axes.tolist(),
        c.rng.uniform(0, 180, count).tolist(),
        tints.tolist(),
        strict=True,
    ):
        cv2.ellipse(picture, (centre, axis, angle), tint, -1, cv2.LINE_AA)
        cv2.ellipse(coverage, (centre, axis, angle), 255, -1, cv2.LINE_AA)
    part = bounds(coverage)
    c.put(segment, coverage, lambda *_: picture[part].astype(np.float32) / np.float32(255))


def tree(c: Canvas, x: float, y: float, height: float, dark: str, sunny: str, slim: float = 0.3) -> None:
    """A tree: a trunk and a crown in clumps."""
    segment, crown = c.segment("tree"), y - 0.62 * height
    c.shade(ellipse(x + 0.15 * height, y, 0.3 * height, 0.03 * height), 0.5, 0.02 * height)
    trunk = sh.lathe(x, crown, y, [0.014 * height, 0.022 * height, 0.04 * height])
    c.put(segment, trunk, tx.bark("#5a4636"), spun=True)
    turns, reach = c.rng.uniform(0, 2 * np.pi, 18), c.rng.uniform(0, 1, 18) ** 0.5
    clumps = np.stack([slim * reach * np.cos(turns), 0.32 * reach * np.sin(turns)], 1)
    clumps[:, 0] *= 1.15 - 1.1 * np.abs(clumps[:, 1] + 0.05)
    centres = np.repeat(clumps, 34, 0) + c.rng.normal(0, 0.045, (18 * 34, 2))
    foliage(c, segment, centres * height + [x, crown], max(1.7, 0.025 * height), dark, sunny)


def flower(c: Canvas, segment: int, x: float, y: float, radius: float, colour: str, stem: float) -> None:
    """A blossom around (x, y), on a stem of some length."""
    way = np.array([[[x, y], [x + 0.1 * stem, y + 0.5 * stem], [x + 0.06 * stem, y + stem]]])
    lines(c, segment, way, "#5c7a3a", max(1, round(radius / 6)))
    turn, count = c.between(0, 60), int(c.rng.integers(6, 11))
    petals = np.zeros((c.height, c.width), np.uint8)
    petal = ellipse(x, y - 0.6 * radius, 1.7 * radius / count, 0.46 * radius)
    for k in range(count):
        petals |= sh.filled(turned(petal, turn + k * 360 / count, x, y), c.height, c.width)
    look = tx.mottled(varied(c.rng, colour), mixed(colour, "#6a3040", 0.3), radius)
    c.put(segment, petals, look, bulge=0.5 * radius)
    c.put(segment, ellipse(x, y, 0.27 * radius, 0.24 * radius), "#d9a636", bulge=0.25 * radius)


def tuft(c: Canvas, x: float, y: float, height: float, count: int, colour: str) -> None:
    """A tuft of grass with long, thin blades."""
    segment, t = c.segment("grass"), np.linspace(0, 1, 9)[None, :, None]
    feet = np.stack([x + c.rng.normal(0, 0.12 * height, count), np.full(count, y)], 1)[:, None]
    reach = np.stack([c.rng.normal(0, 0.3 * height, count), -height * c.rng.uniform(0.5, 1, count)], 1)[
        :, None
    ]
    blades = feet + reach * t * np.concatenate([t, 0.55 + 0.45 * (2 - t)], 2)
    for part in np.array_split(blades, 8):
        lines(c, segment, part, varied(c.rng, colour, 0.16), 2)


def stone(c: Canvas, x: float, y: float, across: float, flat: float, colour: str) -> None:
    """A pebble, some with a vein."""
    outline = turned(sh.blob(c.rng, x, y, across, flat * across, 0.06), c.between(-25, 25), x, y)
    vein = max(0.0, c.between(-1.4, 0.9))
    c.put(
        c.segment("stone"),
        outline,
        tx.granite(colour, vein),
        bulge=0.75 * flat * across,
        gloss=0.08,
        shadow=5,
    )


def fence(c: Canvas, top: float, bottom: float, colour: str, lattice: bool) -> None:
    """A fence across the picture: a lattice, or pickets on two rails. What is behind shows in its gaps."""
    high, coverage = bottom - top, np.zeros((c.height, c.width), np.uint8)
    step = high / (2.2 if lattice else 3.4)
    for x in np.arange(-4 * step, c.width + 2 * step, step):
        if lattice:
            slats = np.array([[[x, top], [x + high, bottom]], [[x + high, top], [x, bottom]]], float)
            sh.strokes(coverage, slats, 255, 5)
        else:
            shape = np.array([[0, bottom], [0, top + 9], [0.25, top - 4], [0.5, top + 9], [0.5, bottom]])
            coverage |= sh.filled(shape * [step, 1] + [x, 0], c.height, c.width)
    for rail in (top + 0.22 * high, bottom - 0.2 * high):
        coverage |= sh.filled(rectangle(-9, rail - 5, c.width + 9, rail + 5), c.height, c.width)
    c.put(c.segment("fence"), coverage, tx.upright(tx.wood(colour)), bulge=4, shadow=4)


def house(c: Canvas, left: float, right: float, top: float, y: float, surface: Surface, roof: str) -> None:
    """A front with rows of windows under a tiled roof."""
    segment, width, height = c.segment("house"), right - left, y - top
    eaves = np.array([[-0.02, 0], [0.12, -0.2], [0.88, -0.2], [1.02, 0]]) * [width, height] + [left, top]
    c.put(segment, rectangle(left, top, right, y), surface, shadow=5)
    c.put(segment, eaves, tx.brick(roof, mixed(roof, "#201a18", 0.6), (8, 13)), shadow=6)
    across, floors = max(2, int(width / 62)), max(2, int(height / 92))
    for k in range(across * floors):
        x, base = (k % across + 0.5) / across, (k // across + 0.78) / floors
        window(c, left + width * x, top + height * base, 0.46 * width / across, 0.56 * height / floors)


def window(c: Canvas, x: float, y: float, width: float, height: float) -> None:
    """A window with bars and a sill, as part of the front it is in."""
    left, right, top = x - width / 2, x + width / 2, y - height
    c.decal(rectangle(left - 3, top - 3, right + 3, y + 3), "#e6dfd0")
    glass = tx.faded(varied(c.rng, "#3a4650", 0.08), varied(c.rng, "#8c9ca0", 0.08), 0.12)
    c.decal(rectangle(left, top, right, y), glass)
    bars = np.array([[[x, top], [x, y]], [[left, y - 0.6 * height], [right, y - 0.6 * height]]])
    lines(c, None, bars, "#e6dfd0", 2)
    c.shade(rectangle(left, top, right, top + 0.14 * height), 0.5, 1.5)
    sill = rectangle(x - 0.62 * width, y + 2, x + 0.62 * width, y + 6)
    c.shade(sill, 0.5, 2, (3, 4))
    c.decal(sill, "#d8cfbd")


def boat(c: Canvas, x: float, y: float, size: float, hull: str, sails: str) -> None:
    """A sailing boat on the water line y, with its reflection."""
    below = np.array([[-0.34, 0], [0.38, 0], [0.1, 0.5], [-0.05, 0.5]]) * size + [x, y]
    c.shade(below, 0.35, 0.05 * size)
    segment, mast, t = c.segment("boat"), x + 0.02 * size, np.linspace(0, 1, 14)
    lines(c, segment, np.array([[[mast, y], [mast, y - 1.08 * size]]]), "#5b4533", max(2, round(size / 50)))
    colours = tuple(sails.split())
    for reach, cloth in ((0.42, colours), (-0.34, colours[:1])):
        leech = np.stack([reach * (t + 0.07 * np.sin(np.pi * t)), 0.87 * t**0.9 - 1.03], 1)
        sail = np.concatenate([leech, [[0.03 * reach, -0.17]]]) * size
        c.decal(sail * [1, -0.8] + [mast, y], cloth[0], 0.16)
        look = tx.fabric(cloth, int(0.16 * size) + 6, 0.03)
        c.put(segment, sail + np.array([mast, y]), look, bulge=0.06 * size)
    body = np.array([[-0.4, -0.12], [0.5, -0.15], [0.36, 0.02], [-0.32, 0.02]]) * size + [x, y]
    c.put(segment, body, tx.planks(hull, 4), bulge=0.09 * size)


def hammer(c: Canvas, x: float, y: float, size: float, angle: float) -> None:
    """A hammer around (x, y)."""
    segment, head = (
        c.segment("tool"),
        [[-0.2, -0.5], [0.12, -0.5], [0.26, -0.43], [0.12, -0.36], [-0.2, -0.36]],
    )
    grip = tx.upright(tx.wood(varied(c.rng, "#a9743f"), 9))
    for shape, surface in (
        (sh.lathe(0, -0.42, 0.5, (0.03, 0.035, 0.05, 0.045)), grip),
        (head, tx.metal("#9aa0a3")),
    ):
        outline = turned(np.array(shape) * size + [x, y], angle, x, y)
        c.put(segment, outline, surface, bulge=0.05 * size, shadow=5)


def saw(c: Canvas, x: float, y: float, size: float, angle: float) -> None:
    """A saw around (x, y), its grip below."""
    segment, t = c.segment("tool"), np.linspace(0, 1, 41)
    teeth = np.stack([0.09 - 0.02 * t + 0.025 * (np.arange(41) % 2), -0.5 + 0.75 * t], 1)
    blade = np.concatenate([teeth, [[-0.12, 0.25], [-0.03, -0.5]]])
    grip, hole = sh.blob(c.rng, -0.01, 0.36, 0.13, 0.15, 0.1), ellipse(-0.01, 0.37, 0.045, 0.07)
    oak = tx.upright(tx.wood(varied(c.rng, "#a9743f"), 9))
    for shape, surface, bulge in ((blade, tx.metal("#9aa0a3"), 2.0), (grip, oak, 0.05 * size)):
        c.put(segment, turned(shape * size + [x, y], angle, x, y), surface, bulge=bulge, shadow=5)
    c.decal(turned(hole * size + [x, y], angle, x, y), "#3a2c22")


def rule(c: Canvas, x: float, y: float, size: float, angle: float) -> None:
    """A rule around (x, y), with its marks."""
    outline = rectangle(-0.055, -0.5, 0.055, 0.5) * size + [x, y]
    c.put(c.segment("tool"), turned(outline, angle, x, y), tx.plain("#cfae62"), bulge=2, shadow=5)
    at = np.linspace(-0.48, 0.48, 49)
    ends = np.where(np.arange(49) % 5 == 0, 0.02, -0.02)
    marks = np.stack([np.stack([0 * at - 0.055, at], 1), np.stack([ends, at], 1)], 1)
    lines(c, None, turned(marks * size + [x, y], angle, x, y), "#33291f", 1, 0.9)
