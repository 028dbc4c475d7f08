"""Which pages of a TIFF are the frames of a stack, by what microscopes' programs say about them."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast
from xml.etree import ElementTree

from zoo.pictures.picture import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tifffile import TiffFile, TiffPage, TiffPageSeries

_WORDS = {"Z": "slices", "C": "channels", "T": "time points", "P": "positions", "M": "tiles", "A": "angles"}
_FIJI = "in Fiji: Image > Duplicate"


def planes_of(tif: TiffFile) -> tuple[int, ...]:
    """The planes of a stack, in its order; one of a single picture. Thumbnails and masks are not planes.

    OME-TIFF, ImageJ's and MetaMorph's stacks, LSM, and tifffile's own name their axes; where there are none,
    each page is a plane. A number past the last page is that of a plane behind the only page's pixels.

    Args:
        tif: Opened without its OME-XML, which names other files, too; it is read here, for this file only.

    Raises:
        Refusal: If it is cut short or holds channels, or more than one axis could be the stack's.
    """
    if not len(tif.pages):
        raise Refusal("it holds no picture")
    _check_chain(tif)
    first = tif.pages.first
    if len(tif.pages) == 1 and not (first.is_imagej or first.is_stk or first.is_shaped):
        return (0,)
    description = first.description
    if description.rstrip().endswith("OME>"):
        return _ome_planes(description, tif)
    if tif.is_imagej or tif.is_stk or tif.is_lsm or tif.is_shaped:
        return _planes_of_series(tif)
    return tuple(_pages(tif))


def _check_chain(tif: TiffFile) -> None:
    """Check that no page lies past the file's end: tifffile omits those that were cut off."""
    form, file = tif.tiff, tif.filehandle
    file.seek(tif.pages[-1].offset)
    (entries,) = struct.unpack(form.tagnoformat, file.read(form.tagnosize))
    file.seek(entries * form.tagsize, 1)
    following = file.read(form.offsetsize)
    if len(following) == form.offsetsize and struct.unpack(form.offsetformat, following)[0] >= file.size:
        raise Refusal("it is cut short: more pages lie past its end")


def _pages(tif: TiffFile) -> Iterator[int]:
    """Every page but thumbnails and masks."""
    for number in range(len(tif.pages)):
        page = cast("TiffPage", tif.pages[number])
        if number == 0 or not (page.is_reduced or page.is_mask):
            yield number


# --- Files that name their axes -----------------------------------------------------------------------


def _planes_of_series(tif: TiffFile) -> tuple[int, ...]:
    series = [each for each in tif.series if not each.keyframe.is_reduced] or tif.series
    axes = [_axes(each) for each in series]
    if len(series) > 1 and any(axes):
        raise Refusal(f"it holds {len(series)} stacks", "save each as its own file")
    pages = [page.index for each in series for page in each.pages if page is not None]
    count = math.prod(axes[0].values())
    behind = len(pages) < count
    if behind and not _lie_behind(series[0].keyframe, count):
        return tuple(_pages(tif))  # the description is of another file
    check_axes(axes[0])
    return tuple(range(count)) if behind else tuple(pages)


def _lie_behind(page: TiffPage, count: int) -> bool:
    """Whether so many planes can lie one behind the other from a page's pixels on."""
    return page.is_contiguous and page.dataoffsets[0] + count * page.nbytes <= page.parent.filehandle.size


def _axes(series: TiffPageSeries) -> dict[str, int]:
    """The sizes of the axes along which there are several planes."""
    sizes = zip(series.get_axes(squeeze=False), series.get_shape(squeeze=False), strict=True)
    return {axis: size for axis, size in sizes if size > 1 and axis not in "YXS"}


def check_axes(sizes: Mapping[str, int]) -> None:
    """Check that the planes of a file can be a stack.

    Args:
        sizes: By the axes' letters, those larger than 1.

    Raises:
        Refusal: If not.
    """
    if not sizes or (len(sizes) == 1 and "C" not in sizes):
        return
    told = [f"{size} {_WORDS.get(axis, 'planes of another kind')}" for axis, size in sizes.items()]
    held = " and ".join((", ".join(told[:-1]), told[-1])) if len(told) > 1 else told[0]
    if len(sizes) == 1:
        raise Refusal(
            f"it holds {held} and no stack",
            "save it as RGB, or one channel as gray; if these are slices, say so in Fiji: Image > Properties",
        )
    what = " at ".join(
        f"one {word}" for axis, word in (("C", "channel"), ("T", "time point")) if axis in sizes
    )
    raise Refusal(
        f"it holds {held}, and a stack has one axis",
        f"save {what or 'one stack'} as its own file ({_FIJI})",
    )


# --- OME ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Plane:
    page: int
    image: int
    place: Mapping[str, int]
    """Along Z, C and T."""


def _ome_planes(description: str, tif: TiffFile) -> tuple[int, ...]:
    """This file's own planes, along the only axis on which they differ; all pages if the XML says nothing."""
    try:
        root = ElementTree.fromstring(description)
        planes = list(_told(root, tif))
    except (ElementTree.ParseError, ValueError) as error:
        raise Refusal(f"its OME-XML is broken ({error})") from error
    if not planes:  # the XML is elsewhere, or is about other files only
        return tuple(_pages(tif))
    images = {plane.image for plane in planes}
    if len(images) > 1:
        raise Refusal(f"it holds {len(images)} images", f"save each as its own file ({_FIJI})")
    counts = {axis: len({plane.place[axis] for plane in planes}) for axis in "ZCT"}
    check_axes({axis: count for axis, count in counts.items() if count > 1})
    return tuple(plane.page for plane in sorted(planes, key=lambda each: (*each.place.values(), each.page)))


def _told(root: ElementTree.Element, tif: TiffFile) -> Iterator[_Plane]:
    """What OME-XML says about this file's pages: OME-TIFF's elements Pixels and TiffData."""
    own = root.get("UUID")
    pixels = [each for each in root.iter() if each.tag.endswith("}Pixels")]
    for image, each in enumerate(pixels):
        order = each.get("DimensionOrder", "XYZCT")[2:]
        sizes = {axis: int(each.get("Size" + axis, 1)) for axis in order}
        samples = [int(part.get("SamplesPerPixel", 1)) for part in each if part.tag.endswith("}Channel")]
        sizes["C"] = max(1, sizes["C"] // max(samples, default=1))
        for data in each:
            if data.tag.endswith("}TiffData") and _is_own(data, own, tif.filename):
                yield from _planes_of_data(data, image, sizes, len(tif.pages))


def _is_own(data: ElementTree.Element, own: str | None, name: str) -> bool:
    """Whether a TiffData element is about the file that it is in."""
    for each in data:
        if each.tag.endswith("}UUID"):
            return each.text == own if own else each.get("FileName", name).lower() == name.lower()
    return True


def _planes_of_data(
    data: ElementTree.Element, image: int, sizes: Mapping[str, int], pages: int
) -> Iterator[_Plane]:
    first = int(data.get("IFD", 0))
    count = int(data.get("PlaneCount", 1 if "IFD" in data.attrib else pages))
    place, step = 0, 1
    for axis, size in sizes.items():
        place += step * int(data.get("First" + axis, 0))
        step *= size
    for number in range(min(count, pages - first, step - place)):
        rest, at = place + number, {}
        for axis, size in sizes.items():
            rest, at[axis] = divmod(rest, size)
        yield _Plane(first + number, image, {axis: at[axis] for axis in "ZCT"})
