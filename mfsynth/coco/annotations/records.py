"""The records of an annotation file: images, panoptic annotations, instances, licenses.

A file whose records are as COCO writes them is decoded in one go. Any other is read record by record, so that
a record that cannot be understood costs its own image, and no other.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar

import msgspec

from mfsynth import limits
from mfsynth.coco.annotations.document import readings
from mfsynth.coco.masks.segments import Instance, ListedSegment
from mfsynth.coco.words import OddRecord, quoted, whole
from mfsynth.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_ID = 2**63 - 1
MAX_SEGMENT_ID = 2**24 - 1
_POWERS = {MAX_ID: "2^63 - 1", -MAX_ID: "-2^63 + 1", MAX_SEGMENT_ID: "2^24 - 1"}
_NULL = msgspec.Raw(b"null")
_Id = Annotated[int, msgspec.Meta(ge=0, le=MAX_ID)]
_Side = Annotated[int, msgspec.Meta(ge=1, le=limits.PICTURE_PIXELS)]
_License = Annotated[int, msgspec.Meta(ge=-MAX_ID, le=MAX_ID)]
_Name = Annotated[str, msgspec.Meta(min_length=1)]


class ImageRecord(msgspec.Struct, frozen=True, gc=False):
    """An image in the list of images."""

    id: _Id
    file_name: _Name
    width: _Side
    height: _Side
    license: _License | None = None
    coco_url: str | None = None
    flickr_url: str | None = None


class MaskRecord(msgspec.Struct, frozen=True):
    """A panoptic annotation: an image's mask and the segments in it."""

    image_id: int
    file_name: _Name
    segments_info: tuple[ListedSegment, ...]


class LicenseRecord(msgspec.Struct, frozen=True):
    """A row of the table of licenses."""

    id: int
    name: str | None = None
    url: str | None = None


class CategoryRecord(msgspec.Struct, frozen=True):
    """A category; only panoptic ones say whether they are things, which have a shape, or stuff."""

    id: int
    isthing: int | bool | None = None


_IMAGE = msgspec.json.Decoder(ImageRecord, strict=False)  # "96" and 96.0 are numbers, too
_CATEGORIES = msgspec.json.Decoder(list[CategoryRecord] | None, strict=False)
_LICENSES = msgspec.json.Decoder(list[LicenseRecord] | None, strict=False)

Annotation = TypeVar("Annotation", MaskRecord, Instance)


class _File(msgspec.Struct, Generic[Annotation], frozen=True):
    images: list[ImageRecord]
    annotations: list[Annotation]
    licenses: list[LicenseRecord] | None = None
    categories: msgspec.Raw = _NULL


@dataclass
class Records(Generic[Annotation]):
    """What an annotation file lists.

    `faults` says by image id what is wrong with a record of that image, `strays` what is wrong with records
    that belong to no image. `stuff` are the ids of the categories that are stuff; None if the categories
    cannot be read.
    """

    images: list[ImageRecord]
    annotations: list[Annotation]
    licenses: list[LicenseRecord]
    faults: dict[int, str] = field(default_factory=dict)
    strays: list[str] = field(default_factory=list)
    stuff: frozenset[int] | None = frozenset()


def read_records(text: bytes, kind: type[Annotation], where: str) -> Records[Annotation]:
    """The records of an annotation file.

    Args:
        text: The file's bytes.
        kind: Which annotations it has.
        where: The file, for errors.

    Raises:
        SourceError: If the text is not one JSON document, or has no list of images or annotations.
    """
    try:
        for reading in readings(text, where):
            with suppress(msgspec.DecodeError, UnicodeDecodeError):
                return _read(reading, kind, where)
    except RecursionError as error:
        raise SourceError(f"{where} is nested too deeply") from error
    raise SourceError(f"{where} is not COCO JSON")


def _read(text: bytes, kind: type[Annotation], where: str) -> Records[Annotation]:
    try:
        file = msgspec.json.decode(text, type=_File[kind])  # type: ignore[valid-type]
    except msgspec.ValidationError:
        return _read_singly(text, kind, where)
    annotations: list[Annotation] = file.annotations  # type: ignore[assignment]  # of that kind
    return Records(file.images, annotations, file.licenses or [], stuff=_stuff(file.categories))


def _stuff(categories: msgspec.Raw) -> frozenset[int] | None:
    try:
        listed = _CATEGORIES.decode(categories) or ()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return frozenset(each.id for each in listed if each.isthing is not None and not each.isthing)


# --- record by record ---------------------------------------------------------------------------------


def _read_singly(text: bytes, kind: type[Annotation], where: str) -> Records[Annotation]:
    try:
        lists = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    except msgspec.ValidationError as error:
        raise SourceError(
            f"{where} does not list a split as COCO does: it holds {_begin(text)}",
            "COCO's format is one object with the lists images and annotations",
        ) from error
    records: Records[Annotation] = Records([], [], [])
    for place, raw in _list(lists, "images", where):
        _take_image(raw, place, records)
    decoder = msgspec.json.Decoder(kind, strict=False)
    for place, raw in _list(lists, "annotations", where):
        _take_annotation(raw, place, decoder, records)
    try:
        records.licenses.extend(_LICENSES.decode(lists.get("licenses", _NULL)) or ())
    except (msgspec.DecodeError, UnicodeDecodeError):
        records.strays.append(f"licenses is {_begin(lists['licenses'])}; it must be a list of licenses")
    records.stuff = _stuff(lists.get("categories", _NULL))
    return records


def _list(lists: dict[str, msgspec.Raw], name: str, where: str) -> Iterator[tuple[str, msgspec.Raw]]:
    """The records of one of the lists, each with its place."""
    try:
        found = msgspec.json.decode(lists.get(name, _NULL), type=list[msgspec.Raw])
    except msgspec.ValidationError as error:
        what = f"its {name} are {_begin(lists[name])}" if name in lists else f"it has no {name}"
        raise SourceError(
            f"{where} does not list a split as COCO does: {what}", f"{name} must be a list"
        ) from error
    return ((f"{name}[{number}]", raw) for number, raw in enumerate(found))


def _take_image(raw: msgspec.Raw, place: str, records: Records[Annotation]) -> None:
    with suppress(msgspec.DecodeError, UnicodeDecodeError):
        records.images.append(_IMAGE.decode(raw))
        return
    try:
        record = _object(raw)
        id = _number(record, "id", 0, MAX_ID)
    except OddRecord as odd:
        records.strays.append(f"{place}: {odd}")
        return
    try:
        records.images.append(_image(record, id))
    except OddRecord as odd:
        records.faults.setdefault(id, f"{place}: {odd}")
        records.images.append(ImageRecord(id, "", 0, 0, _license(record)))


def _take_annotation(
    raw: msgspec.Raw, place: str, decoder: msgspec.json.Decoder[Annotation], records: Records[Annotation]
) -> None:
    with suppress(msgspec.DecodeError, UnicodeDecodeError):
        records.annotations.append(decoder.decode(raw))
        return
    try:
        record = _object(raw)
        image_id = _number(record, "image_id", 0, MAX_ID)
    except OddRecord as odd:
        records.strays.append(f"{place}: {odd}")
        return
    read: Callable[[dict[str, Any], int], Any] = _mask if decoder.type is MaskRecord else _instance
    try:
        records.annotations.append(read(record, image_id))
    except OddRecord as odd:
        records.faults.setdefault(image_id, f"{place}: {odd}")


# --- one record, its values one by one ----------------------------------------------------------------


def _object(raw: msgspec.Raw) -> dict[str, Any]:
    record = _plain(raw)
    if not isinstance(record, dict):
        raise OddRecord(f"it is {quoted(record)}, not an object")
    return record


def _plain(raw: msgspec.Raw) -> Any:
    try:
        return json.loads(bytes(raw).decode("utf-8", "replace"), parse_constant=str, parse_int=_integer)
    except RecursionError as error:
        raise OddRecord("it is nested too deeply") from error


def _integer(digits: str) -> int | str:
    """A number; as text if Python would refuse it, since it has thousands of digits."""
    return int(digits) if len(digits) < 1000 else digits


def _begin(raw: msgspec.Raw | bytes) -> str:
    text = bytes(memoryview(raw)[:40]).decode("utf-8", "replace")
    return text if len(memoryview(raw)) <= 40 else f"{text}…"


def _image(record: dict[str, Any], id: int) -> ImageRecord:
    if not record.get("file_name") and record.get("coco_url"):
        raise OddRecord("it has no file_name, only a coco_url, as in LVIS; add its last part as file_name")
    return ImageRecord(
        id=id,
        file_name=_name(record),
        width=_number(record, "width", 1, limits.PICTURE_PIXELS),
        height=_number(record, "height", 1, limits.PICTURE_PIXELS),
        license=_license(record),
        coco_url=_text(record, "coco_url"),
        flickr_url=_text(record, "flickr_url"),
    )


def _mask(record: dict[str, Any], image_id: int) -> MaskRecord:
    listed = record.get("segments_info")
    if not isinstance(listed, list):
        raise OddRecord(_said(record, "segments_info", "a list"))
    return MaskRecord(image_id, _name(record), tuple(_segment(each, k) for k, each in enumerate(listed)))


def _segment(record: object, number: int) -> ListedSegment:
    try:
        if not isinstance(record, dict):
            raise OddRecord(f"it is {quoted(record)}, not an object")
        id = _number(record, "id", 0, MAX_SEGMENT_ID)
        return ListedSegment(id, _category(record), _crowd(record), _area(record))
    except OddRecord as odd:
        raise OddRecord(f"segments_info[{number}]: {odd}") from odd


def _instance(record: dict[str, Any], image_id: int) -> Instance:
    outline = msgspec.json.encode(record["segmentation"]) if "segmentation" in record else b""
    return Instance(
        image_id=image_id,
        id=whole(record.get("id")) or 0,
        category_id=_category(record),
        segmentation=msgspec.Raw(outline),
        area=_area(record),
        iscrowd=_crowd(record),
    )


def _number(record: dict[str, Any], name: str, least: int, most: int) -> int:
    number = whole(record.get(name))
    if number is None or not least <= number <= most:
        low, high = (_POWERS.get(limit) or f"{limit:,}" for limit in (least, most))
        raise OddRecord(_said(record, name, f"a whole number from {low} to {high}"))
    return number


def _name(record: dict[str, Any]) -> str:
    name = record.get("file_name")
    if not isinstance(name, str) or not name:
        raise OddRecord(_said(record, "file_name", "the name of a file"))
    return name


def _category(record: dict[str, Any]) -> int:
    if record.get("category_id") is None:
        return 0
    return _number(record, "category_id", -MAX_ID, MAX_ID)


def _crowd(record: dict[str, Any]) -> int:
    if record.get("iscrowd") is None or isinstance(record["iscrowd"], bool):
        return int(record.get("iscrowd") or 0)
    return _number(record, "iscrowd", -MAX_ID, MAX_ID)


def _area(record: dict[str, Any]) -> float | None:
    """An area only shows early that an image cannot be used, so one that cannot be read is unknown."""
    area = record.get("area")
    return float(area) if isinstance(area, int | float) and abs(area) < MAX_ID else None


def _license(record: dict[str, Any]) -> int | None:
    license = whole(record.get("license"))
    return license if license is not None and abs(license) <= MAX_ID else None


def _text(record: dict[str, Any], name: str) -> str | None:
    text = record.get(name)
    return text if isinstance(text, str) else None


def _said(record: dict[str, Any], name: str, rule: str) -> str:
    return f"{name} is {quoted(record[name])}; it must be {rule}" if name in record else f"it has no {name}"
