"""The scenes of the embedded split, each in several palettes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mfsynth.coco.demo import shapes as sh
from mfsynth.coco.demo import textures as tx
from mfsynth.coco.demo.canvas import Canvas
from mfsynth.coco.demo.objects import (
    backdrop,
    ball,
    boat,
    book,
    box,
    fence,
    flower,
    framed,
    fruit,
    hammer,
    house,
    leaf,
    lines,
    room,
    rule,
    saw,
    sign,
    stone,
    tin,
    tree,
    tuft,
    vase,
)
from mfsynth.coco.demo.shapes import ellipse, rectangle, turned
from mfsynth.coco.demo.textures import mixed, varied


def spread(c: Canvas, count: int, low: float = 0.08, high: float = 0.92) -> list[float]:
    """Places across the picture, jittered, in random order."""
    places = low + (high - low) / count * (np.arange(count) + 0.5 + c.rng.uniform(-0.28, 0.28, count))
    return [float(x) * c.width for x in c.rng.permutation(places)]


def still_life(c: Canvas) -> None:
    """Fruit, vessels and a box on a cloth, in front of a wall."""
    w, h = c.width, c.height
    papered = tx.stripes(("#b9a68a", "#c7b698"), 24)
    wall = c.choose(tx.plaster("#8f9a8a"), papered, tx.plaster("#6f5a52"), tx.plaster("#9fb0b8"))
    room(c, wall, tx.planks(c.palette("7a5233 | 94683f | 5f4632 | 8a6a4a")[0], 5), 0.6)
    places, at = sorted(spread(c, 3, 0.1, 0.9)), int(c.rng.integers(3))
    framed(c, places[at - 1 if at else 2], 0.24 * h, 0.26 * w, 0.2 * h)
    cloth = np.array([[0, 0.7], [0.52, 0.67], [0.66, 1.02], [-0.16, 1.02]])
    cloth[:, 0] += c.between(0.05, 0.3)
    check = c.palette("a3473c e6dcc8 | 34566b dcd5c2 b08a4a | 8a8f6a e8dfca | 4a3d52 c9a9a0")
    c.put(c.segment("fabric"), cloth * [w, h], tx.fabric(check, 26), bulge=4, shadow=4)
    glaze, petals, clay = c.palette(
        "3f6f78 e0b7a8 b9aa92 | c9b48a d9d3c2 5f6b70 | 7d3b34 c9a04a a39a8a | 47614a a8607a 8a5b48"
    )
    jar = vase(c, places[at], 0.75 * h, 0.36 * h, "16 13 30 33 17", tx.plain(glaze, 0.08))
    for _ in range(6):
        x, y = places[at] + c.rng.normal(0, 0.08) * w, h * c.between(0.1, 0.27)
        stem = np.array([[[x, y], [(x + 2 * places[at]) / 3, 0.33 * h], [places[at], 0.4 * h]]])
        lines(c, jar, stem, "#55663a", 2)
        flower(c, jar, x, y, 0.055 * h, petals, 0)
    box(c, places[at - 1], 0.77 * h, 0.2 * w, 0.17 * h, tx.wood("#9b7148"), c.one_of("TEA", "SPICE", "No 7"))
    vase(c, places[at - 2], 0.76 * h, 0.22 * h, "22 20 24 34 36 24", tx.granite(clay), 0.1)
    for x in spread(c, c.choose(5, 4, 6, 5), 0.12, 0.88):
        fruit(c, x, h * c.between(0.84, 0.96), h * c.between(0.055, 0.08))


def meadow(c: Canvas) -> None:
    """Grass with flowers, a fence, trees and hills under a wide sky."""
    w, h = c.width, c.height
    top, low = c.palette("4b7fb0 cfdfe4 | 6d7fa0 efc9a0 | 7f98a8 d8dcd8 | 3f6f9f bcd4dc")
    near, far = c.palette("5a7f36 a3b06a | 6a6f34 b59a58 | 4f6f44 93a27c | 6a8a3c b4b866")
    pickets, small, large = c.palette(
        "b5a58c e8e0d0 d8574a | 8a7a68 c9684a e8e4da | d8d2c4 b58ac0 d9a03a | 9a8a72 e3c34a 7a6ab0"
    )
    backdrop(c, "sky", 0, 0.6, tx.sky(top, low, c.choose(0.45, 0.6, 0.7, 0.35)))
    for share, line in ((0.72, 0.44), (0.45, 0.5)):
        slope = mixed(mixed(near, "#2f4a4a", 0.5), low, share)
        backdrop(c, "hill", line, 0.7, tx.plain(slope, 0.08), 0.035)
    for x in spread(c, 4, 0, 1)[:3]:
        tree(c, x, 0.6 * h, h * c.between(0.2, 0.34), mixed("#2f4a2a", low, 0.2), mixed(far, "#8a9a4a", 0.4))
    backdrop(c, "grass", 0.575, 1, tx.turf(near, far), 0.006)
    fence(c, 0.53 * h, 0.68 * h, pickets, c.variant % 2 == 1)
    stone(c, c.between(0.15, 0.85) * w, 0.78 * h, 0.09 * w, 0.6, "#8d8a82")
    many = c.segment("flower", crowd=c.variant == 0)
    for _ in range(26):
        y = c.between(0.72, 0.9)
        flower(c, many, c.between(0, w), y * h, h * (0.011 + 0.05 * (y - 0.7)), small, 0.05 * h)
    if c.variant % 2 == 0:
        words = c.choose("MEADOW", "", "TO THE LAKE")
        sign(c, 0.24 * w, 0.6 * h, 0.24 * w, 0.1 * h, words, "#7a5a3c #efe3c6", 0.84 * h)
    for x in spread(c, 3, 0, 1):
        tuft(c, x, h * 1.02, 0.3 * h, 60, mixed(near, "#31491f", 0.3))
    for x in spread(c, 3, 0.1, 0.9):
        flower(c, c.segment("flower"), x, h * c.between(0.78, 0.88), 0.055 * h, large, 0.2 * h)


def bookshelf(c: Canvas) -> None:
    """Books in rows, and a thing beside each row."""
    w, h, rows = c.width, c.height, 2 if c.height < c.width else 3
    back, oak, *covers = c.palette(
        "54402f 9a6d42 7a2f2a 2f4a5a 8a6a34 3d5240 b09a74 | 6b6a60 b5905e 39506b a8553d d0b183 52635a"
        " | 7d6a52 5b4331 5a4a78 c08a4a 2f5f5a a34a42 c9bfa8 | 3f4a4e 8b6a4a 8a3f4a 40606a b58f4c 2e3440"
    )
    backdrop(c, "wall", 0, 1, tx.upright(tx.planks(back, 9)))
    board = c.segment("shelf")
    for row in range(rows):
        y = h * (row + 0.93) / rows
        c.shade(rectangle(0, y - 0.9 * h / rows, w, y - 0.74 * h / rows), 0.55, 0.05 * h)
        c.put(board, rectangle(-5, y, w + 5, y + 0.065 * h / (rows - 1)), tx.wood(oak), bulge=3, shadow=6)
        x, stop = 0.04 * w, w * c.between(0.55, 0.72)
        while x < stop:
            width = w * c.between(0.05, 0.085) * (1 if h < w else 1.5)
            book(c, x, y, width, h / rows * c.between(0.55, 0.8), c.near(*covers))
            x += width + 1
        keepsake(c, row + c.variant, x + 0.52 * (w - x), y, 0.3 * h / rows)


def keepsake(c: Canvas, kind: int, x: float, y: float, size: float) -> None:
    """A ball, a vase, a box or some wool."""
    if kind % 4 == 0:
        ball(c, x, y, size, tx.wrapped(tx.stripes(("#c2a56a", "#3f6275"), 16), 0.5))
    elif kind % 4 == 1:
        vase(c, x, y, 2.2 * size, "10 10 30 32 20", tx.plain(c.near("#b5674a", "#5b7d7a", "#d2c6ae"), 0.08))
    elif kind % 4 == 2:
        linen = tx.fabric(("#8a7a62", "#a5967c"), 8, 0.02)
        box(c, x - 8, y, 1.8 * size, 1.1 * size, linen, c.one_of("LETTERS", "1987", "MAPS"))
    else:
        ball(c, x, y, 0.9 * size, tx.yarn(c.near("#b5566b", "#6a7fa0", "#c9a85a")), 0.02)


def beach(c: Canvas) -> None:
    """Pebbles on sand, the sea behind them."""
    w, h = c.width, c.height
    top, low = c.palette("5a8ab5 dbe4e2 | 8a86a8 f0cfa8 | 6f8fa6 c8d4d6 | 4f8fb0 e4e6da")
    sand, *tints = c.palette(
        "cdb48a 8d8a84 b5a795 6b6f73 | c2a078 94837a b09a86 5f5a5c"
        " | b3aa98 7f8a90 a9adab 55606a | d8c49c b3a08a 8a7464 d0c6b4"
    )
    backdrop(c, "sky", 0, 0.3, tx.sky(top, low, c.choose(0.5, 0.65, 0.8, 0.3)))
    backdrop(c, "water", 0.24, 0.52, tx.water(mixed(top, "#1f4a50", 0.55), mixed(low, top, 0.5)))
    backdrop(c, "ground", 0.47, 1, tx.sand(sand), 0.012)
    if c.variant % 2 == 0:
        boat(
            c,
            w * c.between(0.2, 0.8),
            0.31 * h,
            0.2 * h,
            "#7a4a34",
            c.choose("#e8e0cc #c9574a", "", "#d8c8a0 #3f5f78"),
        )
    many = c.segment("stone", crowd=c.variant == 1)
    for _ in range(55):
        y, size = c.between(0.52, 0.62), w * c.between(0.008, 0.018)
        pebble = sh.blob(c.rng, c.between(0, w), y * h, size, 0.55 * size)
        c.put(many, pebble, tx.granite(c.near(*tints)), bulge=0.01 * h, shadow=2)
    if c.variant % 2 == 1:
        panels = tx.stripes(("#c9573f", "#eee4cf", "#3a6a86", "#e0b04f"), 22)
        ball(c, 0.74 * w, 0.74 * h, 0.15 * h, tx.wrapped(panels, 0.6))
    for y, x in zip(np.linspace(0.68, 0.97, 12).tolist(), spread(c, 12, 0, 1), strict=True):
        size = w * (0.03 + 0.1 * (y - 0.6)) * c.between(0.8, 1.7)
        stone(c, x, y * h, size, c.between(0.55, 0.8), c.near(*tints))


def workshop(c: Canvas) -> None:
    """Tools on a wall of boards; boxes, tins and a rule on the bench."""
    w, h = c.width, c.height
    boards, bench = c.palette("8b8578 8a6238 | 6a5a4a a57c4c | 7d8a86 6d5038 | a08a6a 7a6a58")
    room(c, tx.planks(boards, 7), tx.planks(bench, 6), 0.7)
    for hang, x in zip((hammer, saw, rule, hammer, saw), spread(c, 5, 0.04, 0.74), strict=True):
        hang(c, x, 0.27 * h, 0.34 * h, c.between(-12, 12))
    colours = c.choose("#2f4f5f #eae0c8", "#8a3b2e #efe2c4", "#e0d3b0 #3b3a36", "#41523a #e9dfc4")
    sign(c, 0.85 * w, 0.2 * h, 0.22 * w, 0.16 * h, c.choose("SHOP", "TOOLS", "OPEN", "No 12"), colours)
    places = sorted(spread(c, 4, 0.06, 0.92))
    box(c, places[0], 0.82 * h, 0.2 * w, 0.17 * h, tx.planks("#9c7a4f", 3), c.one_of("NAILS", "SCREWS"))
    paints = c.palette("b04a3a 3f6a7a | c9a24a 5a6b4a | 4a5a7a b5683a | 7a8a4a 94483f")
    for x, colour, text in zip(places[1:3], paints, ("OIL", "PAINT"), strict=True):
        tin(c, x, h * c.between(0.8, 0.84), 0.2 * h, colour, text)
    box(c, places[3], 0.84 * h, 0.15 * w, 0.11 * h, tx.plain("#a8875c"), c.one_of("GLUE", "WAX"))
    check = c.palette("7a3f3a d8c8a8 | 3f5870 cfd2c8 | 8a7a4a e0d6b8 | 5a4a5f cdbfae")
    rag = sh.blob(c.rng, w * c.between(0.3, 0.6), 0.93 * h, 0.17 * w, 0.07 * h, 0.16)
    c.put(c.segment("fabric"), rag, tx.fabric(check, 18, 0.2), bulge=6, shadow=5)
    rule(c, w * c.between(0.7, 0.8), 0.92 * h, 0.42 * h, c.between(68, 84))


def street(c: Canvas) -> None:
    """Houses along a pavement, with signs."""
    w, h = c.width, c.height
    top, low = c.palette("5b86b3 d6e0e2 | 8a8fa8 efd2b0 | 8295a3 d5d9d8 | 47749f c5d7de")
    setts, awning, crown = c.palette(
        "8a8782 b0463a 9aa84f | 9a8a78 3a6478 c28a3c | 767c80 4d6b46 7f9a4a | 8f8474 c08a3a a9ac50"
    )
    backdrop(c, "sky", 0, 0.8, tx.sky(top, low, 0.5))
    fronts = [tx.plaster(colour) for colour in ("#d0b98c", "#8fa3a0", "#b5766a")]
    fronts += [tx.brick("#9c5545", "#b9ab98"), tx.brick("#b08a66", "#cfc4b0", (13, 30))]
    order, edges = c.rng.permutation(len(fronts)), np.array([-0.05, 0.3, 0.66, 1.05]) * w
    for left, right, k in zip(edges, edges[1:], order, strict=False):
        roof = c.one_of("#7d4a3c", "#5a5f66", "#8a6248")
        house(c, left, right, h * c.between(0.18, 0.34), 0.8 * h, fronts[k], roof)
    pavement = tx.brick(setts, "#5a5650", (16, 22), 1.6)
    backdrop(c, "ground", 0.78, 1, tx.receding(pavement))
    c.shade(rectangle(0, 0.77 * h, w, 0.78 * h), 0.5, 6)
    left = c.between(0.08, 0.5)
    cloth = np.array([[left + 0.03, 0.58], [left + 0.31, 0.58], [left + 0.34, 0.68], [left, 0.68]]) * [w, h]
    c.put(c.segment("fabric"), cloth, tx.stripes((awning, "#ece3d0"), 0.024 * w), bulge=5, shadow=9)
    shop, dark = c.choose("BAKERY", "BOOKS & MAPS", "CAMERAS"), mixed(awning, "#201c1a", 0.45)
    sign(c, (left + 0.17) * w, 0.51 * h, 0.28 * w, 0.09 * h, shop, f"{dark} #ecdcae")
    tree(c, w * c.one_of(0.06, 0.93), 0.86 * h, 0.62 * h, "#2c4426", crown, 0.22)
    boards = {"STOP": "#a8322c #f0e8dc", "Main St": "#28536f #f0e8dc", "24 h": "#d3a83a #2c2a28"}
    for x, (words, colours) in zip(spread(c, 3, 0.1, 0.9), boards.items(), strict=True):
        sign(c, x, h * c.between(0.42, 0.64), 0.14 * w, 0.085 * h, words, colours, h * c.between(0.9, 0.97))
    crate = tx.planks("#9a774c", 3)
    box(c, w * c.between(0.3, 0.7), 0.93 * h, 0.14 * w, 0.1 * h, crate, c.one_of("PEARS", "FRESH"))


def leaves(c: Canvas) -> None:
    """Fallen leaves and berries, seen from above."""
    w, h = c.width, c.height
    boards, worn = tx.planks("#6f5a48", 6), tx.upright(tx.planks("#8a8478", 7))
    backdrop(c, "ground", 0, 1, c.choose(boards, tx.sand("#6a5644", 0.1), tx.granite("#7d7f7c"), worn))
    colours = c.palette(
        "b5542a c98a2e 8a3a2a | a83a2e d0a03a 7a6a2e | c9742e 9a8a3a a84a34 | 7a8a3a c0a03c 5a7038"
    )
    rows = c.rng.permutation(np.linspace(0.08, 0.94, 13)).tolist()
    for x, y in zip(spread(c, 13, 0, 1), rows, strict=True):
        length, slim = h * c.between(0.26, 0.44), c.between(0.15, 0.27)
        leaf(c, x, y * h, length, c.between(0, 360), c.near(*colours), slim)
    left, top = w * c.between(0.1, 0.58), h * c.between(0.2, 0.6)
    tag = turned(rectangle(left, top, left + 0.32 * w, top + 0.18 * h), -2, left, top)
    c.put(c.segment("sign"), tag, tx.plain("#e3d8bd"), bulge=2, shadow=5)
    words = c.choose("AUTUMN", "October", "LEAF No 9", "Forest")
    c.text((left + 0.03 * w, top + 0.03 * h, left + 0.29 * w, top + 0.14 * h), words, "#4a3a2e")
    for x in spread(c, 6, 0.05, 0.95):
        y, radius, skin = (
            h * c.between(0.1, 0.92),
            h * c.between(0.018, 0.04),
            c.near("#8a2f2a", "#6a4a2c", "#b5432f"),
        )
        c.put(c.segment("fruit"), ellipse(x, y, radius, radius), skin, bulge=radius, gloss=0.5, shadow=6)


def harbour(c: Canvas) -> None:
    """Sailing boats on a lake between hills, behind a fence."""
    w, h = c.width, c.height
    top, low, timber = c.palette(
        "6a7ba3 f0c8a0 8a7360 | 4f86b0 d5e2e4 d4ccbc | 54607f e0a890 5f5148 | 7f96a6 d9dcd6 a08d74"
    )
    backdrop(c, "sky", 0, 0.5, tx.sky(top, low, c.choose(0.6, 0.4, 0.7, 0.75)))
    for share, line, rough in ((0.62, 0.3, 0.05), (0.32, 0.37, 0.035)):
        backdrop(c, "hill", line, 0.5, tx.plain(mixed("#2f4448", low, share), 0.1), rough)
    backdrop(c, "water", 0.44, 1, tx.water(mixed(top, "#16343c", 0.6), mixed(low, top, 0.35)))
    sails = ["#ece3cf #c05a44", "#ece3cf #d9cdb0", "#c9a24a #ece3cf", "#3f6078 #ece3cf", "#b5473c #d9b08a"]
    order = c.rng.permutation(len(sails))
    for y, x, k in zip((0.48, 0.51, 0.56, 0.64), spread(c, 4, 0.06, 0.94), order, strict=False):
        boat(c, x, y * h, h * (0.14 + 1.35 * (y - 0.47)), c.near("#7a4430", "#40505a", "#8f7550"), sails[k])
    fence(c, 0.8 * h, 1.03 * h, timber, c.variant % 2 == 0)
    colours = c.choose("#e6dcc4 #2f4a5c", "#2f4a5c #e6dcc4", "#8a3b30 #ecdfc2", "#35544a #e6dcc4")
    words = c.choose("HARBOUR", "PIER 4", "BOATS", "FERRY")
    sign(c, w * c.between(0.2, 0.8), 0.86 * h, 0.26 * w, 0.11 * h, words, colours)


def sewing(c: Canvas) -> None:
    """Folded cloth, wool and a box on a table."""
    w, h = c.width, c.height
    striped = tx.stripes(("#a9b0a3", "#b7bcae", "#a9b0a3", "#c4c3b2"), 17)
    wall = c.choose(
        striped, tx.plaster("#b08f80"), tx.plaster("#7a8794"), tx.stripes(("#c2ad92", "#cdbba2"), 30)
    )
    boards, card, *dyes = c.palette(
        "9a7650 b08d62 7a3f4a d8c7a8 46606a | 6b4c36 8a9a94 40566b dcd2bd b0803f"
        " | a98a66 b5776a 6a7a52 e2d8c2 a5533f | 7d5d40 c2ab80 5a4668 d5c3b8 8a9a96"
    )
    room(c, wall, tx.planks(boards, 4), 0.62)
    framed(c, w * c.between(0.3, 0.7), 0.22 * h, 0.24 * w, 0.2 * h)
    left = w * c.between(0.05, 0.5)
    for k in range(6):
        y, inset = h * (0.8 - 0.062 * k), w * c.between(0, 0.03)
        cloth = tx.fabric(tuple(c.rng.permutation(dyes)[: 2 + k % 2].tolist()), 12 + 5 * k, 0.06)
        fold = rectangle(left + inset, y - 0.066 * h, left + 0.4 * w - inset, y)
        c.put(c.segment("fabric"), fold, cloth, bulge=0.032 * h, shadow=4)
    beside = left + (0.57 if left < 0.25 * w else -0.18) * w
    words = c.choose("BUTTONS", "LACE", "WOOL", "THREAD")
    box(c, beside, 0.78 * h, 0.2 * w, 0.2 * h, tx.plain(card, 0.05), words)
    for x, colour in zip(spread(c, 5, 0.08, 0.92), (*dyes, "#c08a4a", "#8f5560"), strict=True):
        ball(c, x, h * c.between(0.86, 0.97), h * c.between(0.07, 0.1), tx.yarn(varied(c.rng, colour)), 0.02)
    for x in spread(c, 4, 0.1, 0.9):
        y, size = h * c.between(0.9, 0.98), 0.02 * h
        button = ellipse(x, y, size, 0.6 * size)
        c.put(c.segment("ball"), button, c.near(*dyes), bulge=0.3 * size, gloss=0.3, shadow=3)


SCENES: tuple[Callable[[Canvas], None], ...] = (
    still_life,
    meadow,
    bookshelf,
    beach,
    workshop,
    harbour,
    street,
    leaves,
    sewing,
)
