"""Make docs/pictures/handheld.png: thirty frames from one hand, fused by one command, beside the truth.

    python scripts/handheld_figure.py --coco ../shared/coco

The frames are made from COCO's val2017 image 13659, under CC BY; see handheld.py.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click
import cv2
import numpy as np
from handheld import Hand, Handheld, corner_error, focused, taken

import mfsynth
from mfsynth.codecs import decode_picture
from mfsynth.preview.kit.sheet import Block, Cell, draw_sheet, encode_sheet
from zoo.evaluation.baselines.pyramid import Pyramid
from zoo.evaluation.prepared import Prepared
from zoo.pictures.picture import PictureFile
from zoo.pictures.write import write_picture
from zoo.stacks.given import stack_of
from zoo.stacks.options import FuseOptions
from zoo.stacks.planning.plan import StackPlan, plan
from zoo.stacks.planning.survey import survey

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mfsynth.sample import Picture

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
SPLIT, IMAGE, RADIUS = "val2017", 13659, 7.0
CROPS = (
    mfsynth.Window(6, 330, 87, 116),
    mfsynth.Window(178, 120, 87, 116),
    mfsynth.Window(305, 30, 87, 116),
)
"""From far to near: people before a wall, a head before a desk, a computer."""
WIDTH, DPI = 232, 180
OPTIONS = FuseOptions(align=True)


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """What the figure shows of a stack, by its captions; each picture is like a frame."""

    fused: Picture
    pyramid: Picture
    unaligned: Picture
    report: dict[str, Any]
    plan: StackPlan


def written(stack: Handheld, folder: Path) -> list[Path]:
    """The frames as a camera's files, JPEG of quality 95."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"IMG_{number:04d}.jpg" for number in range(1, len(stack.frames) + 1)]
    for path, frame in zip(paths, stack.frames, strict=True):
        write_picture(path, PictureFile(np.ascontiguousarray(frame)), 95)
    return paths


def fused(paths: Sequence[Path], output: Path) -> Shown:
    """The command's result, and the pyramid's on the same frames."""
    command = [
        sys.executable,
        "-m",
        "mfsynth",
        "fuse",
        *map(str, paths),
        "-o",
        str(output),
        "--align",
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    frames = [decode_picture(path.read_bytes()) for path in paths]
    fuse = Pyramid().fuse
    return Shown(
        fused=cv2.imread(str(output))[..., ::-1],
        pyramid=Prepared.of(frames, OPTIONS).fused_classically(fuse).image,
        unaligned=fuse(frames).image,
        report=json.loads(done.stdout)["fused"][0],
        plan=plan(survey(stack_of(paths)), OPTIONS),
    )


def psnr(picture: Picture, sharp: Picture) -> float:
    """Of all pixels and channels, in dB."""
    error = np.mean(np.square(picture.astype(np.float64) - sharp))
    return float(10 * np.log10(255**2 / error))


def lines(stack: Handheld, shown: Shown) -> list[str]:
    """What was done with the frames, and how far it is from the truth."""
    height, width = stack.sharp.shape[:2]
    how = shown.plan
    errors = {
        each.name: corner_error(each.move, stack.moves[each.place], height, width) for each in how.frames
    }
    worst = max(errors, key=errors.__getitem__)
    gains = np.array([np.broadcast_to(each.tone.gain, 3) for each in how.frames])
    return [
        f"frames left out: {', '.join(f'{n} ({why})' for n, why in how.left_out.items()) or 'none'}",
        f"drift by the plan: {how.drift:.2f} pixels",
        f"corner errors: median {np.median(list(errors.values())):.2f} pixels, "
        f"largest {errors[worst]:.2f} ({worst})",
        f"gains found: {gains.min():.3f} to {gains.max():.3f}; of linear light, true: "
        f"{(1 / stack.gains).min():.3f} to {(1 / stack.gains).max():.3f}",
        *how.warnings,
        *(
            f"{name}: {psnr(picture, stack.sharp):.2f} dB"
            for name, picture in (
                ("mfsynth fuse --align", shown.fused),
                ("pyramid on the same prepared frames", shown.pyramid),
                ("pyramid on the frames as taken", shown.unaligned),
                ("best single frame", max(stack.frames, key=lambda each: psnr(each, stack.sharp))),
            )
        ),
    ]


def figure(stack: Handheld, shown: Shown) -> bytes:
    """The figure as PNG."""
    some = np.linspace(0, len(stack.frames) - 1, 4).round().astype(int)
    taken_ones = [Cell(stack.frames[k], f"frame {k + 1} of {len(stack.frames)}") for k in some]
    columns = (
        (stack.sharp, "the picture itself"),
        *(
            (picture, f"{name}, {psnr(picture, stack.sharp):.1f} dB")
            for picture, name in (
                (shown.fused, "mfsynth fuse"),
                (shown.pyramid, "pyramid, prepared"),
                (shown.unaligned, "pyramid, as taken"),
            )
        ),
    )
    whole = [Cell(marked(picture), words) for picture, words in columns]
    crops = [[Cell(doubled(picture, window)) for picture, _ in columns] for window in CROPS]
    return encode_sheet(draw_sheet([Block([taken_ones]), Block([whole, *crops])], WIDTH), DPI)


def marked(picture: Picture) -> Picture:
    """A picture with the outlines of the crops."""
    outlined = np.ascontiguousarray(picture)
    for window in CROPS:
        corners = (window.left, window.top), (window.left + window.width, window.top + window.height)
        outlined = cv2.rectangle(outlined.copy(), *corners, (255, 220, 0), 2)
    return outlined


def doubled(picture: Picture, window: mfsynth.Window) -> Picture:
    """The pixels of a window, twofold."""
    cut = np.ascontiguousarray(picture[window.slices])
    return cv2.resize(cut, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)


@click.command()
@click.option("--coco", type=click.Path(path_type=Path), required=True, help="COCO folder with the split.")
@click.option("--split", default=SPLIT, show_default=True)
@click.option("--image", type=int, default=IMAGE, show_default=True, help="Id of the picture.")
@click.option("--frames", type=click.IntRange(2, 32), default=30, show_default=True)
@click.option("--balance", type=float, default=0.0, show_default=True, help="Drift of white balance.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--keep", type=click.Path(path_type=Path), help="Folder to keep frames and result in.")
@click.option("--out", type=click.Path(path_type=Path), default=PICTURES / "handheld.png", show_default=True)
def main(
    coco: Path, split: str, image: int, frames: int, balance: float, seed: int, keep: Path | None, out: Path
) -> None:
    """Draw the stack, fuse it, draw the figure."""
    stack = taken(*focused(coco, split, image, frames, RADIUS), Hand(balance=balance), seed)
    with TemporaryDirectory() as folder:
        place = keep or Path(folder)
        paths = written(stack, place / "stack")
        shown = fused(paths, place / "fused.png")
    for line in lines(stack, shown):
        click.echo(line)
    png = figure(stack, shown)
    out.write_bytes(png)
    click.echo(f"{out}  {len(png) / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
