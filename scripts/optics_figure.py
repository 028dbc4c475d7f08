"""Make docs/pictures/optics.png: one picture rendered by ever more of the optics, beside a real edge.

    python scripts/optics_figure.py --coco ../shared/coco --lytro ../shared/lytro

The picture is COCO's val2017 image 15746, under CC BY; the real edge is that of pair 13 of the Lytro
Multi-focus Dataset (Nejati, Samavi, Shirani, Information Fusion 25, 2015).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import cv2
import numpy as np

import mfsynth
from mfsynth.codecs import decode_picture
from mfsynth.preview.colors import color_map
from mfsynth.preview.kit.sheet import Block, Cell, draw_sheet, encode_sheet

if TYPE_CHECKING:
    from mfsynth.sample import Picture, Recipe

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
IMAGE = 15746
RADIUS = 7.0
EDGE = mfsynth.Window(300, 40, 88, 88)
"""Where the near thing ends before a textured background."""
REAL, REAL_EDGE = "lytro-13", mfsynth.Window(300, 290, 88, 88)
WIDTH, DPI = 340, 180

STEPS: tuple[tuple[str, dict[str, Any]], ...] = (
    (
        "hard edge, Gaussian (paper)",
        {"kernel": "gaussian", "boundary": "hard", "light": "srgb", "quality": 0},
    ),
    ("disk", {"kernel": "disk", "boundary": "hard", "light": "srgb", "quality": 0}),
    ("disk, spread", {"kernel": "disk", "boundary": "spread", "light": "srgb", "quality": 0}),
    ("… in linear light", {"kernel": "disk", "boundary": "spread", "light": "linear", "quality": 0}),
    ("… by a camera", {"kernel": "disk", "boundary": "spread", "light": "linear", "quality": 80}),
)


def near_thing(scene: mfsynth.Scene) -> Recipe:
    """The recipe with the largest thing in the near plane and everything else in the far one."""
    recipe, optics = scene.recipe, scene.recipe.optics
    assert optics is not None
    things = [k for k, traits in enumerate(optics.segments) if not traits.stuff]
    nearest = max(things, key=lambda k: recipe.segments[k].area)
    segments = tuple(replace(segment, plane=int(segment.index == nearest)) for segment in recipe.segments)
    return replace(recipe, segments=segments)


def with_optics(recipe: Recipe, *, kernel: str, boundary: Any, light: Any, quality: int) -> Recipe:
    """The recipe with other optics; kernels have equal standard deviations."""
    optics = recipe.optics
    assert optics is not None
    noise = 2 / 255 if quality else 0.0
    optics = replace(
        optics,
        radius=RADIUS if kernel == "disk" else 0.0,
        boundary=boundary,
        light=light,
        shot_noise=noise**2,
        read_noise=0.0,
        frames=tuple(replace(shot, quality=quality) for shot in optics.frames),
    )
    blur = replace(recipe.blur, kernel=kernel, sigma=RADIUS / 2)
    frames = tuple(replace(frame, noise_sigma=noise) for frame in recipe.frames)
    return replace(recipe, blur=blur, frames=frames, optics=optics)


def marked(picture: Picture, window: mfsynth.Window) -> Picture:
    """A picture with a window's outline."""
    shown = picture.copy()
    corner = (window.left, window.top), (window.left + window.width, window.top + window.height)
    return cv2.rectangle(shown, *corner, (255, 220, 0), 4)  # type: ignore[return-value]


def magnified(picture: Picture, window: mfsynth.Window) -> Picture:
    """The pixels of a window, fourfold."""
    cut = np.ascontiguousarray(picture[window.slices])
    return cv2.resize(cut, None, fx=4, fy=4, interpolation=cv2.INTER_NEAREST)  # type: ignore[return-value]


def figure(coco: Path, lytro: Path) -> bytes:
    """The figure as PNG."""
    stream = mfsynth.synthesize(coco, "val2017", preset="realistic", images=[IMAGE])
    scene = next(iter(stream.scenes()))
    recipe = near_thing(scene)
    samples = [
        (name, mfsynth.render(replace(scene, recipe=with_optics(recipe, **step)))) for name, step in STEPS
    ]
    real = {side: decode_picture((lytro / f"{REAL}-{side}.jpg").read_bytes()) for side in "AB"}
    last = samples[-1][1]
    shown = (
        (last.gt, "ground truth"),
        (last.frames[0], "focused on the background"),
        (last.frames[1], "focused on the hydrant"),
        (color_map(last.focus), "focus map"),
        (color_map(last.nearest), "nearest"),
        (np.repeat(last.certain[..., None], 3, 2), "certain"),
    )
    whole = Block([[Cell(marked(picture, EDGE), words) for picture, words in shown]])
    rows = [
        Block(
            [
                [
                    *(Cell(magnified(sample.frames[k], EDGE), name) for name, sample in samples),
                    Cell(magnified(real[side], REAL_EDGE), "a real edge (Lytro)"),
                ]
            ],
            title,
        )
        for k, side, title in ((0, "B", "Focused on the background"), (1, "A", "Focused on the foreground"))
    ]
    return encode_sheet(draw_sheet([whole, *rows], WIDTH), DPI)


@click.command()
@click.option("--coco", type=click.Path(path_type=Path), required=True, help="COCO folder with val2017.")
@click.option("--lytro", type=click.Path(path_type=Path), required=True, help="Folder of Lytro's pairs.")
@click.option("--out", type=click.Path(path_type=Path), default=PICTURES / "optics.png", show_default=True)
def main(coco: Path, lytro: Path, out: Path) -> None:
    """Draw the figure."""
    png = figure(coco, lytro)
    out.write_bytes(png)
    click.echo(f"{out}  {len(png) / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
