"""Fusing picture files: one stack, or a folder of stacks."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from mfsynth.console import count
from mfsynth.errors import MfsynthError, OptionsError, OutputError
from mfsynth.storage import write
from zoo.errors import FrameError
from zoo.fusing.align import MIN_SIDE, UNALIGNED, align, looks_unaligned
from zoo.fusing.fusion import fuse
from zoo.fusing.outputs import check_apart, check_distinct, same_file
from zoo.fusing.pictures import PictureFile, check_output, read_picture, write_picture

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from zoo.fusing.fusion import Burst, Fused, FusionNetwork, Rule

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp", ".ppm", ".pgm")
MARK = ".fused"
"""A file in a folder of results that lies among the stacks: the next batch does not take it for a stack."""
_FRAME = re.compile(r"(?P<stack>.+?)[-_ .]?(?:[A-Za-z]|\d+)")


@dataclass(frozen=True, slots=True)
class FuseOptions:
    """How picture files are fused; see `zoo.fusing.fusion.fuse`.

    Args:
        rule: None takes the network's default.
        burst: `joint` or `fold`.
        symmetric: Evaluate both orders of the frames.
        tile: Side of the tiles, in pixels; None takes the largest that need about 1 GB.
        align: Register every frame to the first.
        quality: Of JPEG output.
    """

    rule: Rule | None = None
    burst: Burst = "joint"
    symmetric: bool = True
    tile: int | None = None
    align: bool = False
    quality: int = 95


@dataclass(frozen=True, slots=True)
class FusedFile:
    """The result of fusing one stack.

    Attributes:
        output: The picture that was written.
        frames: Number of frames.
        size: Height and width, in pixels.
        shares: The share of the pixels that came from each frame; empty where no frame is chosen.
        moves: How each frame after the first was registered; empty without alignment.
    """

    output: Path
    frames: int
    size: tuple[int, int]
    shares: tuple[float, ...]
    moves: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """As JSON's own types."""
        return {
            "output": str(self.output),
            "frames": self.frames,
            "size": list(self.size),
            "shares": [round(share, 4) for share in self.shares],
            "moves": list(self.moves),
        }

    def line(self) -> str:
        """As a line for people."""
        shares = ", ".join(f"{share:.0%}" for share in self.shares)
        chosen = f", shares {shares}" if shares else ""
        return f"{self.output}  {count(self.frames, 'frame')}, {self.size[1]} x {self.size[0]}{chosen}"


def fuse_files(
    model: FusionNetwork,
    paths: Sequence[Path],
    output: Path,
    options: FuseOptions,
    *,
    decision_map: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> FusedFile:
    """Fuse one stack of picture files; the result has the first frame's depth, profile and EXIF.

    Args:
        model: HF-Seg or HF-Reg.
        paths: The frames, two or more.
        output: The picture to write.
        options: How to fuse.
        decision_map: Where to write a gray picture of the frame that each pixel came from, the first black,
            the last white.
        say: Called with a line about frames that look unaligned, or about how a frame was moved.

    Raises:
        PictureError: If a file cannot be read or written.
        FrameError: If the frames cannot be fused.
        AlignmentError: If they could not be registered.
        OptionsError: If an output is a frame, or both outputs are one file.
    """
    outputs = [output] if decision_map is None else [output, decision_map]
    check_apart(outputs, paths)
    check_distinct(outputs)
    files = [read_picture(path) for path in paths]
    _check_same(paths, files)
    first = files[0]
    check_output(output, first.pixels.dtype)
    if decision_map is not None:
        check_output(decision_map, np.uint8)
    frames = [file.pixels for file in files]
    moves: tuple[str, ...] = ()
    if options.align:
        frames, found = align(frames)
        moves = tuple(each.describe() for each in found[1:])
        for path, move in zip(paths[1:], moves, strict=True):
            say(f"{path.name} relative to {paths[0].name}: {move}")
    else:
        _warn_unaligned(paths, frames, say)
    fused = fuse(
        model, frames, rule=options.rule, burst=options.burst, symmetric=options.symmetric, tile=options.tile
    )
    write_picture(output, PictureFile(fused.image, first.icc, first.exif), options.quality)
    if decision_map is not None:
        write_picture(decision_map, PictureFile(drawn_decision(fused, len(frames)), None, None))
    return FusedFile(output, len(frames), first.pixels.shape[:2], _shares(fused, len(frames)), moves)


def drawn_decision(fused: Fused, frames: int) -> np.ndarray:
    """A decision map as a gray picture, H x W uint8, from black (the first frame) to white (the last).

    Raises:
        FrameError: If nothing was decided: HF-Reg chooses frames only by the rule `nearest`.
    """
    if fused.decision is None:
        raise FrameError("the network chose no frames, so there is no decision map", "use --rule nearest")
    levels = np.linspace(0, 255, frames).round().astype(np.uint8)
    return levels[fused.decision]


def find_stacks(folder: Path) -> dict[str, list[Path]]:
    """The stacks in a folder, by name, frames in the order of their names.

    Each subfolder with pictures is a stack, unless a batch wrote them. Pictures in the folder itself form
    stacks by their names without the last letter or number: `bee-A.jpg` and `bee-B.jpg`, or `leaf_01.png` to
    `leaf_12.png`.

    Raises:
        FrameError: If there are none.
    """
    stacks: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir(), key=_as_counted):
        if (path / MARK).is_file():
            continue
        if path.is_dir():
            frames = [each for each in sorted(path.iterdir(), key=_as_counted) if is_picture(each)]
            if frames:
                stacks.setdefault(path.name, []).extend(frames)
        elif is_picture(path):
            match = _FRAME.fullmatch(path.stem)
            stacks.setdefault(match["stack"] if match else path.stem, []).append(path)
    if not stacks:
        raise FrameError(
            f"{folder} holds no stacks",
            "put each stack into its own folder, or name the frames NAME_1, NAME_2, …",
        )
    return stacks


def fuse_folder(
    model: FusionNetwork,
    folder: Path,
    out: Path,
    options: FuseOptions,
    *,
    say: Callable[[str], None] = lambda _: None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> tuple[list[FusedFile], dict[str, str]]:
    """Fuse every stack in a folder, each to a PNG of its name in `out`; a failure does not stop the others.

    If `out` lies in the folder, it is marked, so that it is never taken for a stack.

    Returns:
        What was fused, and the errors by the names of their stacks.

    Raises:
        OptionsError: If a result would overwrite a frame, or go among frames.
    """
    among = _is_among(folder, out)
    stacks = find_stacks(folder)
    outputs = {name: out / f"{name}.png" for name in stacks}
    check_apart([*outputs.values()], (frame for frames in stacks.values() for frame in frames))
    if among:
        write(out / MARK, b"what mfsynth fuse --batch wrote\n")
    done: list[FusedFile] = []
    errors: dict[str, str] = {}
    for number, (name, paths) in enumerate(stacks.items()):
        progress(number, len(stacks))
        try:
            _check_new(outputs[name], done)
            done.append(fuse_files(model, paths, outputs[name], options, say=say))
        except (MfsynthError, cv2.error, MemoryError, RuntimeError) as error:  # RuntimeError is torch's
            errors[name] = str(error)
    progress(len(stacks), len(stacks))
    return done, errors


def _is_among(folder: Path, out: Path) -> bool:
    """Whether the folder to fill is a subfolder of a folder of stacks, or will be.

    Raises:
        OptionsError: If it holds pictures that an earlier batch did not write: it is a stack.
    """
    if not any(each.is_dir() and same_file(each, out) for each in folder.iterdir()):
        return same_file(out.parent, folder)
    if not (out / MARK).is_file() and any(map(is_picture, out.iterdir())):
        raise OptionsError(
            f"{out} holds frames, and results would go among them", "give another folder with -o"
        )
    return True


def _check_new(output: Path, done: Sequence[FusedFile]) -> None:
    """Check that a result does not overwrite another: some file systems do not tell `Bee` from `bee`."""
    for each in done:
        if each.output.name.casefold() == output.name.casefold() and same_file(each.output, output):
            raise OutputError(f"{output} would overwrite {each.output}", "rename one of the stacks")


def _check_same(paths: Sequence[Path], files: Sequence[PictureFile]) -> None:
    """Name the files whose sizes or depths differ; `check_frames` does the rest."""
    for path, file in zip(paths[1:], files[1:], strict=True):
        if file.pixels.shape != files[0].pixels.shape or file.pixels.dtype != files[0].pixels.dtype:
            raise FrameError(
                f"{paths[0]} is {_kind(files[0])}, {path} is {_kind(file)}",
                "all frames must have one size and one depth, and be all color or all gray",
            )


def _warn_unaligned(paths: Sequence[Path], frames: Sequence[np.ndarray], say: Callable[[str], None]) -> None:
    if len(frames) < 2 or min(frames[0].shape[:2]) < MIN_SIDE:
        return
    for path, moved in zip(paths[1:], looks_unaligned(frames)[1:], strict=True):
        if moved > UNALIGNED:  # false for NaN, where nothing is known
            say(f"{path.name} looks shifted by {moved:.1f} pixels from {paths[0].name}; consider --align")


def _shares(fused: Fused, frames: int) -> tuple[float, ...]:
    if fused.decision is None:
        return ()
    counts = np.bincount(fused.decision.ravel(), minlength=frames)
    return tuple(float(count) / fused.decision.size for count in counts)


def _as_counted(path: Path) -> list[tuple[int, str]]:
    """A sort key that orders numbers in names by value: 2 before 10."""
    return [(int(word), "") if word.isdecimal() else (-1, word) for word in re.split(r"(\d+)", path.name)]


def is_picture(path: Path) -> bool:
    """Whether a path is a picture file by its name."""
    return path.is_file() and path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def _kind(file: PictureFile) -> str:
    height, width = file.pixels.shape[:2]
    color = "color" if file.pixels.ndim == 3 else "gray"
    return f"{width} x {height} {color}, {8 * file.pixels.itemsize} bit"
