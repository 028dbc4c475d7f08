"""Frames in files: a file each, or several as the pages of one TIFF."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo.errors import PictureError
from zoo.pictures.conversion import converted
from zoo.pictures.picture import Refusal
from zoo.pictures.profiles import fitting
from zoo.pictures.raw import AS_SHOT
from zoo.pictures.read import read_picture, reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from zoo.pictures.picture import PictureFile, Pixels
    from zoo.pictures.raw import Development


@dataclass(frozen=True, slots=True)
class FrameFile:
    """Where a frame is.

    Args:
        path: The file.
        page: The page, counted from 0, where the file holds several frames; None where it holds one picture.
        place: Among the file's frames, counted from 0: thumbnails are pages, too, but not frames.
    """

    path: Path
    page: int | None = None
    place: int = 0

    @property
    def name(self) -> str:
        """For people, who count pages from 1."""
        return self._after(self.path.name)

    def _after(self, name: str) -> str:
        return name if self.page is None else f"{name} page {self.place + 1}"

    def longer_names(self) -> tuple[str, str]:
        """The name with the folder's, and with the whole path."""
        return self._after(f"{self.path.parent.name}/{self.path.name}"), self._after(str(self.path))


def frames_of(paths: Iterable[Path]) -> tuple[FrameFile, ...]:
    """The frames in files, in order. No pixels are decoded: a TIFF's pages are counted by its directories.

    A TIFF of several pages gives its pages, in the order of the axis that its OME-XML or ImageJ's or Zeiss'
    description names. Each file gives its own pages, whatever other files it names.

    Raises:
        PictureError: If a file cannot be read, or is a TIFF whose pages are not a stack: channels, or planes
            along more than one axis.
    """
    return tuple(frame for path in paths for frame in _frames(path))


def _frames(path: Path) -> list[FrameFile]:
    with reading(path) as reader:
        pages = reader.pages(path) if reader.pages else ()
    if len(pages) <= 1:
        return [FrameFile(path)]
    return [FrameFile(path, page, place) for place, page in enumerate(pages)]


def read_frame(frame: FrameFile, development: Development = AS_SHOT) -> PictureFile:
    """Read a frame, upright; of a file of several pages only its page. See `read_picture`.

    Raises:
        PictureError: If it cannot be read.
    """
    if frame.page is None:
        return read_picture(frame.path, development)
    with reading(frame.path) as reader:
        if reader.read_page is None:
            raise LookupError(f"{frame.path} has no pages")
        return reader.read_page(frame.path, frame.page)


def in_profile(picture: PictureFile, where: FrameFile, icc: bytes | None) -> Pixels:
    """A frame's pixels as those of another profile; the same array if nothing changes. See `converted`.

    Raises:
        PictureError: If they cannot be converted.
    """
    if icc is not None and fitting(icc, picture.pixels) is None:
        return picture.pixels  # gray among color, which cannot be fused anyway
    try:
        return converted(picture.pixels, picture.icc, icc)
    except Refusal as refusal:
        raise PictureError(f"cannot use {where.path}: {refusal}", refusal.hint) from refusal


def distinct_names(frames: Sequence[FrameFile]) -> list[str]:
    """The frames' names; with their folders or whole paths where names are shared."""
    for names in (
        [each.name for each in frames],
        *zip(*(each.longer_names() for each in frames), strict=True),
    ):
        if len(set(names)) == len(names):
            return list(names)
    return [f"{each.name} ({number})" for number, each in enumerate(frames, 1)]
