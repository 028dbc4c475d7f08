"""The demo split: scenes drawn by code, written as COCO lays out a panoptic split.

Pictures (H x W x 3) and colors are RGB in [0, 1], float32; masks are H x W, uint8, 255 inside, anti-aliased;
outlines are N x 2, x before y, in pixels. The light comes from the upper left.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

DEMO_VERSION = 2
_SIZES = ((480, 640), (427, 640), (480, 640), (640, 480), (480, 640), (375, 500), (480, 640))
_GRAY_IMAGE = 23
_STUFF = ("sky", "hill", "grass", "water", "sand", "wall", "table", "cloth", "fence")
_THINGS = ("stone", "ball", "fruit", "flower", "vase", "book", "sign")
_CATEGORY_IDS = {name: number for number, name in enumerate(_STUFF + _THINGS, 1)}
_WORDS = ("FOCUS", "LENS", "LIGHT", "DEPTH", "FIELD", "SHARP", "IRIS", "PRISM", "MACRO", "GRAIN")
# Sky, horizon, grass, sand, wood, wall, linen; then four accents.
_PALETTES = """
    4b7fb0 dbe4e2 6a8a3c cdb48a 8a5c3a 8f9a8a e6dcc8 a3473c 34566b c9963f 7a8a3a
    6d7fa0 efc9a0 7a7a3a c2a078 6f4e38 a08a76 dcd5c2 c9684a 3f6275 b08a4a 6a7a4a
    7f98a8 d8dcd8 5f7f4c b3aa98 94683f 7f929c e8dfca d9a03a 7a6a8a 4f7a72 b5573a
    3f6f9f e4e6da 7a9a40 d8c49c 8a6a4a 9c8474 d9cdb4 d9793f 2f6f8a e3c34a 4a6d42
"""
_FONT, _BITS = cv2.FONT_HERSHEY_DUPLEX, 4


def _color(hexadecimal: str) -> Array:
    return np.frombuffer(bytes.fromhex(hexadecimal), np.uint8).astype(np.float32) / np.float32(255)


_GRAY, _DARK = _color("87857f"), _color("40332a")
_FRUIT = _color("b5392f d08a2e 8aa03a").reshape(-1, 3)


def _light(height: Array, right: float, down: float, up: float) -> Array:
    """The cosine of the angle between a surface of this height and a direction."""
    x, y = (cv2.Scharr(np.asarray(height, np.float32), cv2.CV_32F, k, 1 - k, scale=1 / 32) for k in (1, 0))
    return np.asarray((right * x + down * y + up) / np.sqrt(x**2 + y**2 + 1), np.float32)


def _bounds(mask: Array, margin: int) -> tuple[slice, slice]:
    """Rows and columns of a mask; no margin beyond the picture's edge, where shapes are not rounded."""
    x, y, width, height = cv2.boundingRect(mask)
    return slice(max(0, y - margin), y + height + margin), slice(max(0, x - margin), x + width + margin)


class _Canvas:
    """A picture being drawn, and the segment of each pixel: what is drawn later is in front in both."""

    def __init__(self, index: int) -> None:
        self.index, self.shape = index, _SIZES[index % len(_SIZES)]
        self.rng = np.random.Generator(np.random.Philox(key=(DEMO_VERSION << 32) + index))
        self.picture, self.ids = np.zeros((*self.shape, 3), np.float32), np.zeros(self.shape, np.uint8)
        self.segments: list[str] = []
        self.crowd = 0
        colors = _color(_PALETTES.strip().splitlines()[index // 4 % 4]).reshape(-1, 3)
        self.sky, self.horizon, self.grass, self.sand, self.wood, self.wall, self.linen = colors[:7]
        self.accents = colors[7:]

    def near(self, *colors: Array) -> Array:
        """A color near one of these, or near an accent."""
        color = (colors or self.accents)[self.rng.integers(len(colors or self.accents))]
        shift = 0.06 * self.rng.standard_normal(1, np.float32) * color
        return np.asarray(color + shift + 0.012 * self.rng.standard_normal(3, np.float32))

    def places(self, count: int) -> Array:
        """Places across the picture, jittered, in random order."""
        places = np.arange(count) + self.rng.uniform(0.25, 0.75, count)
        return self.rng.permutation((0.06 + 0.88 * places / count) * self.shape[1])

    def noise(self, cell: float, tall: float = 1, fade: float = 0.8, shape: Any = None) -> Array:
        """Noise around 0, spread about 1: octaves from `cell` pixels down, each `fade` times the last."""
        total, weight, power, shape = np.zeros((1, 1), np.float32), 1.0, 0.0, shape or self.shape
        while cell >= 1.5 or not power:
            rows, columns = int(shape[0] / cell / tall) + 2, int(shape[1] / cell * tall) + 2
            octave = np.float32(weight) * self.rng.standard_normal((rows, columns), np.float32)
            total = cv2.resize(total, (columns, rows), interpolation=cv2.INTER_CUBIC) + octave
            power, weight, cell = power + weight**2, weight * fade, cell / 2
        grown = cv2.resize(total, shape[::-1], interpolation=cv2.INTER_CUBIC)
        return np.asarray(grown * np.float32(1.5 / power**0.5))

    def relief(
        self, inside: Array, cell: float = 0, bumps: float = 0.12, tall: float = 1, bulge: float = 0
    ) -> tuple[Array, Array]:
        """How bright a shape is, around 1, and its highlights: bumps of `cell` pixels, a round rim."""
        light: Array = np.ones(inside.shape, np.float32)
        shine: Array = np.zeros(inside.shape, np.float32)
        if cell:
            rough, stains = (self.noise(size, tall, shape=inside.shape) for size in (cell, 5 * cell))
            light += _light(bumps * rough, 0.6, 0.8, 0) + 0.05 * stains
        if bulge:
            # Not cv2.DIST_MASK_PRECISE: with several threads its values vary from call to call.
            depth = cv2.distanceTransform((inside >= 128).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
            height = bulge * np.sqrt(1 - (1 - depth / np.float32(bulge)).clip(0, 1) ** 2)
            height = cv2.GaussianBlur(height, (0, 0), max(0.12 * bulge, 0.7))
            light *= 0.42 + 0.82 * _light(height, 0.46, 0.56, 0.69).clip(0, 1)
            shine += 0.3 * _light(height, 0.25, 0.32, 0.91).clip(0, 1) ** 60
        return light[..., None], shine[..., None]

    def mask(self, shape: Array, line: float = 0) -> Array:
        """What outlines cover, or lines of this thickness."""
        mask, fixed = np.zeros(self.shape, np.uint8), np.round((shape - 0.5) * 2**_BITS).astype(np.int32)
        points = list(fixed if shape.ndim == 3 else fixed[None])
        if not line:
            return np.asarray(cv2.fillPoly(mask, points, [255], cv2.LINE_AA, _BITS))
        return np.asarray(cv2.polylines(mask, points, False, [255], max(1, round(line)), cv2.LINE_AA, _BITS))

    def put(self, segment: str | int, shape: Array, paint: Array, shadow: float = 0, **relief: float) -> int:
        """Lay outlines or a mask on top, in a color or a picture, with a shadow of this length.

        The shape joins a new segment of a category, or one by its number; 0 takes the segments below it.
        """
        mask = shape if shape.dtype == np.uint8 else self.mask(shape)
        if isinstance(segment, str):
            self.segments.append(segment)
            segment = len(self.segments)
        if shadow:
            self.cast(mask, shadow)
        part = _bounds(mask, 2)
        inside = np.ascontiguousarray(mask[part])
        light, shine = self.relief(inside, **relief)
        painted = (paint[part] if paint.ndim == 3 else paint) * light + shine
        self.picture[part] += inside[..., None] / np.float32(255) * (painted - self.picture[part])
        if segment:
            self.ids[part][inside >= 128] = segment
        return segment

    def cast(self, mask: Array, length: float) -> None:
        """Darken by a soft shadow that falls to the lower right."""
        part, side = _bounds(mask, int(4 * length) + 2), 2 * round(0.85 * length) + 1
        move = np.array([[1, 0, length], [0, 1, 0.8 * length]])
        moved = cv2.warpAffine(mask[part], move, mask[part].shape[::-1])
        # Two boxes, not cv2.stackBlur, whose result depends on the number of threads.
        soft = cv2.blur(cv2.blur(moved, (side, side)), (side, side)).astype(np.float32)
        self.picture[part] *= (1 - soft / 510)[..., None]


def _checked(c: _Canvas) -> Array:
    """Cloth of two colors, in soft folds."""
    rows, columns = (np.arange(n, dtype=np.float32) % 37 < c.rng.uniform(9, 25) for n in c.shape)
    share = (0.45 * rows[:, None] + 0.45 * columns + 0.1)[..., None]
    folds = _light(9 * cv2.GaussianBlur(c.noise(150, 1.4, 0.4), (0, 0), 5), 0.6, 0.8, 1)[..., None]
    return np.asarray((c.linen * (1 - share) + c.near() * share) * folds, np.float32)


def _clouds(c: _Canvas) -> Array:
    """A sky over the picture's upper half."""
    down, puffs = np.linspace(0, 2, c.shape[0])[:, None, None].clip(0, 1), c.noise(130, 0.65, 0.58)
    share = (puffs - c.rng.uniform(-0.1, 0.5)).clip(0, 1)[..., None] * (0.9 - 0.35 * down)
    lit = 1 + 0.14 * _light(5 * cv2.GaussianBlur(puffs, (0, 0), 3), 0.6, 0.8, 0)[..., None]
    air, white = c.sky + (c.horizon - c.sky) * down, (0.25 * c.horizon + 0.75) * lit
    return np.asarray(air * (1 - share) + white * share, np.float32)


def _rectangle(left: float, top: float, right: float, bottom: float) -> Array:
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]])


def _blob(c: _Canvas, x: float, y: float, across: float, down: float, wobble: float = 0.08) -> Array:
    """An ellipse with these half axes, dented at random like a pebble."""
    angle = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    wave, rise = np.arange(2, 7)[:, None], c.rng.normal(0, wobble, (5, 1))
    radius = 1 + (rise / wave * np.cos(wave * angle + c.rng.uniform(0, 6.3, (5, 1)))).sum(0)
    return np.stack([x + across * radius * np.cos(angle), y + down * radius * np.sin(angle)], 1)


def _backdrop(c: _Canvas, name: str, top: float, paint: Array, uneven: float = 0, **relief: float) -> None:
    """Fill the picture below a line, given as a share of its height."""
    line = c.shape[0] * (top + uneven * c.noise(40, fade=0.55, shape=(1, 60))[0])
    edge = np.stack([np.linspace(-0.01, 1.01, 60) * c.shape[1], line], 1)
    c.put(name, np.concatenate([edge, [[9999, 2000], [-9, 2000]]]), paint, **relief)


def _stone(c: _Canvas, segment: str | int, x: float, y: float, size: float) -> int:
    outline, color = _blob(c, x, y - 0.6 * size, size, 0.65 * size, 0.1), c.near(_GRAY, 0.9 * c.sand)
    return c.put(segment, outline, color, shadow=0.14 * size + 1, cell=7, bumps=0.3, bulge=0.6 * size)


def _fruit(c: _Canvas, x: float, y: float, size: float) -> None:
    outline = _blob(c, x, y - size, size, size, 0.02)
    fruit = c.put("fruit", outline, c.near(*_FRUIT), shadow=0.25 * size, cell=7, bulge=size)
    stem = np.array([[0, -1.75], [0.03, -2], [0.2, -2.3]]) * size + [[x, y]]
    c.put(fruit, c.mask(stem, 0.1 * size), _DARK)


def _ball(c: _Canvas, x: float, y: float, size: float) -> None:
    """A ball in sectors of two colors."""
    v, u = (np.indices(c.shape, np.float32) - np.array([[[y - size]], [[x]]])) / size
    sector = np.arctan2(u + 0.35, v + 0.45 + 0.4 * u * u) * 8 / np.pi % 2
    share = (12 * np.abs(sector - 1) - 5.5).clip(0, 1)[..., None]
    skin = c.near() * share + c.linen * (1 - share)
    c.put("ball", _blob(c, x, y - size, size, size, 0), skin, shadow=0.22 * size, cell=5, bulge=size)


def _vase(c: _Canvas, x: float, y: float, size: float) -> None:
    t, (wave, phase) = np.linspace(0, 1, 60), c.rng.uniform([4.5, 2.2], [5.5, 3.2])
    radius = size * (0.2 + c.rng.uniform(0.06, 0.1) * np.sin(wave * t - phase))
    outline = np.stack([np.append(x - radius, x + radius[::-1]), y - size * np.append(1 - t, t)], 1)
    c.put("vase", outline, c.near(), shadow=0.12 * size, cell=6, bulge=0.28 * size)


def _flower(c: _Canvas, x: float, y: float, size: float, foot: float, ground: float) -> None:
    """A flower with its head at (x, y) and its stem's end at (foot, ground)."""
    way, color = np.linspace(0, 1, 9), c.near(*c.accents[:3], c.linen)
    stalk = np.stack([x + (foot - x) * way**2, y + (ground - y) * way], 1)
    segment = c.put("flower", c.mask(stalk, 0.13 * size), 0.7 * c.near(c.grass))
    for angle in np.arange(8) * np.pi / 4 + c.rng.uniform():
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        petal = _blob(c, 0.6 * size, 0, 0.42 * size, 0.24 * size, 0.05) @ turn + [[x, y]]
        c.put(segment, petal, color, shadow=0.05 * size, cell=5, bulge=0.2 * size)
    heart = _blob(c, x, y, 0.28 * size, 0.26 * size)
    c.put(segment, heart, _FRUIT[1], cell=3, bumps=0.3, bulge=0.2 * size)


def _board(c: _Canvas, category: str, x: float, y: float, width: float, height: float) -> None:
    """A sign, or the spine of a book: a word in a frame."""
    left, color, word = x - width / 2, c.near(), str(c.rng.choice(_WORDS))
    ink = c.linen if color.mean() < 0.5 else _DARK
    outline = _rectangle(left, y - height, left + width, y - 1)
    c.put(category, outline, color, shadow=4, cell=6, tall=0.4, bulge=0.15 * height)
    frame = _rectangle(left + 5, y - height + 4, left + width - 5, y - 5)
    c.put(0, c.mask(frame[[0, 1, 2, 3, 0]], 1), ink)
    (wide, high), _ = cv2.getTextSize(word, _FONT, 1, 1)
    scale = min(0.8 * width / wide, 0.5 * height / high)
    corner = (round(x - scale * wide / 2), round(y - (height - scale * high) / 2))
    text = cv2.putText(np.zeros(c.shape, np.uint8), word, corner, _FONT, scale, [255], 1, cv2.LINE_AA)
    c.put(0, text, ink)


def _fence(c: _Canvas, top: float, bottom: float) -> None:
    """Pickets on two rails, across the picture."""
    high, step = bottom - top, 0.25 * (bottom - top)
    rails = np.stack([_rectangle(-9, top + k * high, 999, top + (k + 0.09) * high) for k in (0.3, 0.7)])
    fence = c.put("fence", rails, c.linen, shadow=2, cell=8, tall=0.4, bulge=2)
    slat = np.array([[0, 0], [0.25, -0.4], [0.5, 0], [0.5, 4], [0, 4]]) * step + [[0, top]]
    places = np.arange(-step * c.rng.uniform(), c.shape[1], step)
    slats = slat + np.stack([places, c.rng.uniform(0, 0.1 * step, len(places))], 1)[:, None]
    c.put(fence, slats, c.linen, shadow=0.05 * high, cell=8, tall=2.5, bulge=2)


def _reeds(c: _Canvas, x: float) -> None:
    """A tuft of thin blades in front, rising from the picture's lower edge."""
    t, segment = np.linspace(0, 1, 12), 0
    for long, shade, line in c.rng.uniform([0.15, 0.6, 1], [0.36, 1.1, 3.4], (45, 3)):
        foot, lean = c.rng.normal([x, 0], [0.03 * c.shape[1], 0.07 * c.shape[1]])
        blade = np.stack([foot + lean * t**2, c.shape[0] * (1.01 - long * t)], 1)
        segment = c.put(segment or "grass", c.mask(blade, line), np.float32(shade) * c.grass)


def _still_life(c: _Canvas) -> None:
    """Vases, books, flowers and fruit on a cloth, in front of a wall."""
    (h, w), left, x = c.shape, c.rng.uniform(0, 0.3), c.places(3)
    _backdrop(c, "wall", -0.1, c.wall, cell=24)
    _backdrop(c, "table", 0.6, c.wood, cell=20, bumps=0.25, tall=0.15)
    cloth = np.array([[left, 0.68], [left + 0.55, 0.66], [left + 0.7, 1.05], [left - 0.1, 1.05]]) * [w, h]
    c.put("cloth", cloth, _checked(c), shadow=4, bulge=4, cell=4)
    _board(c, "sign", x[0], 0.3 * h, 0.28 * w, 0.12 * h)
    for place, y in zip(c.rng.normal(x[1], 0.05 * w, 4), c.rng.uniform(0.08, 0.24, 4), strict=True):
        _flower(c, place, y * h, 0.06 * h, x[1], 0.4 * h)
    _vase(c, x[1], 0.74 * h, 0.4 * h)
    for floor in range(c.rng.integers(3, 6)):
        _board(c, "book", x[2], (0.77 - 0.06 * floor) * h, c.rng.uniform(0.24, 0.3) * w, 0.06 * h)
    _vase(c, x[0], 0.76 * h, 0.22 * h)
    for place in c.places(4):
        _fruit(c, place, h * c.rng.uniform(0.86, 0.97), h * c.rng.uniform(0.05, 0.07))


def _meadow(c: _Canvas) -> None:
    """Flowers, a stone and reeds in front of a fence."""
    (h, w), x = c.shape, c.places(3)
    _backdrop(c, "grass", 0.575, c.grass, 0.006, cell=14, bumps=0.3, tall=2.5)
    _fence(c, 0.5 * h, 0.69 * h)
    _board(c, "sign", x[0], 0.66 * h, 0.28 * w, 0.12 * h)
    _stone(c, "stone", x[1], 0.83 * h, 0.1 * w)
    for place in c.places(6):
        foot = place + c.rng.normal(0, 0.03 * w)
        _flower(c, place, h * c.rng.uniform(0.72, 0.85), h * c.rng.uniform(0.03, 0.06), foot, h)
    _reeds(c, x[2])


def _shore(c: _Canvas) -> None:
    """Pebbles, stones, a ball and reeds in front of water."""
    (h, w), x = c.shape, c.places(2)
    _backdrop(c, "water", 0.46, 0.7 * c.sky, cell=12, bumps=0.3, tall=0.3)
    _backdrop(c, "sand", 0.58, c.sand, 0.012, cell=12, bumps=0.25, tall=0.6)
    for place, y in zip(c.places(40), np.linspace(0.62, 0.7, 40), strict=True):
        c.crowd = _stone(c, c.crowd or "stone", place, y * h, w * c.rng.uniform(0.008, 0.018))
    for place, y in zip(c.places(6), np.linspace(0.76, 0.97, 6), strict=True):
        _stone(c, "stone", place, y * h, 0.11 * w * y * c.rng.uniform(0.6, 1.1))
    _ball(c, x[0], h * c.rng.uniform(0.8, 0.9), 0.12 * h)
    _reeds(c, x[1])


def _draw(index: int) -> _Canvas:
    """The scene of this index, counted from 0: the same one every time."""
    c = _Canvas(index)
    if index % 2:
        _backdrop(c, "sky", -0.1, _clouds(c))
        for line, haze in ((0.36, 0.7), (0.44, 0.4)):
            _backdrop(c, "hill", line, 0.6 * c.grass * (1 - haze) + c.horizon * haze, 0.035, cell=24)
    (_still_life, _meadow, _still_life, _shore)[index % 4](c)
    if index % 5 == 1:
        # where segments meet: annotators often leave that unlabeled
        ids = np.pad(c.ids, ((1, 0), (1, 0)), "edge")
        c.ids[(ids[1:, 1:] != ids[1:, :-1]) | (ids[1:, 1:] != ids[:-1, 1:])] = 0
    return c


def _develop(c: _Canvas) -> Array:
    """The scene as a photograph: light that falls off, a soft lens, grain. H x W x 3, BGR, uint8."""
    down, right = np.indices(c.shape, np.float32) / np.array([[[c.shape[0]]], [[c.shape[1]]]])
    fall = 1.19 - 0.13 * (right + down) - 0.22 * ((right - 0.5) ** 2 + (down - 0.5) ** 2)
    soft = cv2.GaussianBlur(c.picture, (0, 0), 0.55) * fall[..., None]
    grain = 0.011 * c.rng.standard_normal((*c.shape, 1))
    return np.asarray((255 * (soft + grain)).clip(0, 255).round(), np.uint8)[..., ::-1]


def draw_demo(root: Path, images: int = 32) -> None:
    """Write `demo/`, `panoptic_demo/` and, last, `annotations/panoptic_demo.json` under `root`.

    Args:
        root: Created if missing; other files there are not touched.
        images: How many; the first ones are the same no matter how many are drawn.
    """
    for folder in ("demo", "panoptic_demo", "annotations"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    entries, annotations = [], []
    for image_id in range(1, images + 1):
        canvas, stem = _draw(image_id - 1), f"{image_id:012d}"
        picture = _develop(canvas)
        shown = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY) if image_id == _GRAY_IMAGE else picture
        _write(root / "demo" / f"{stem}.jpg", shown, cv2.IMWRITE_JPEG_QUALITY, 92)
        segments = _write_segments(root / "panoptic_demo" / f"{stem}.png", canvas)
        annotations.append({"segments_info": segments, "file_name": f"{stem}.png", "image_id": image_id})
        size = {"height": canvas.shape[0], "width": canvas.shape[1], "id": image_id}
        entries.append({"license": 9, "file_name": f"{stem}.jpg", **size, "coco_url": "", "flickr_url": ""})
    text = json.dumps(_document(entries, annotations))
    (root / "annotations" / "panoptic_demo.json").write_bytes(text.encode())


def _write(path: Path, pixels: Array, *options: int) -> None:
    path.write_bytes(cv2.imencode(path.suffix, pixels, options)[1].tobytes())


def _write_segments(path: Path, c: _Canvas) -> list[dict[str, Any]]:
    # An odd factor permutes the 24-bit numbers: ids differ, and so do their colors, visibly.
    ids, infos = np.arange(256) * 0x9E3779 % 2**24, []
    _write(path, np.stack([ids >> 16, ids >> 8 & 255, ids & 255], 1).astype(np.uint8)[c.ids])
    for number, category in enumerate(c.segments, 1):
        inside, crowd = (c.ids == number).view(np.uint8), number == c.crowd and c.index < 4
        entry = {"id": int(ids[number]), "category_id": _CATEGORY_IDS[category], "iscrowd": int(crowd)}
        infos.append({**entry, "bbox": list(cv2.boundingRect(inside)), "area": cv2.countNonZero(inside)})
    return [info for info in infos if info["area"]]


def _document(images: list[dict[str, Any]], annotations: list[dict[str, Any]]) -> dict[str, Any]:
    url = "https://creativecommons.org/publicdomain/zero/1.0/"
    kinds = {name: "thing" if name in _THINGS else "stuff" for name in _CATEGORY_IDS}
    return {
        "info": {"description": "Scenes drawn by mfsynth", "version": str(DEMO_VERSION), "year": 2026},
        "licenses": [{"id": 9, "name": "CC0, drawn by mfsynth", "url": url}],
        "images": images,
        "annotations": annotations,
        "categories": [
            {"supercategory": kind, "isthing": int(kind == "thing"), "id": _CATEGORY_IDS[name], "name": name}
            for name, kind in kinds.items()
        ],
    }
