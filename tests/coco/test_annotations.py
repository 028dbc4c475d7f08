"""Annotations as people have them: odd records cost their image, odd files are read or named."""

from __future__ import annotations

import gzip
import json
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from coco_folder import (
    Picture,
    annotations_path,
    edit_annotations,
    save_annotations,
    write_annotations,
    write_coco,
)
from conftest import Cli
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mfsynth
from mfsynth import Manifest
from mfsynth.building.run import Run, build
from mfsynth.coco.annotations.entries import Entry
from mfsynth.coco.finding.files import Missing
from mfsynth.coco.image import read_image
from mfsynth.coco.split import Split, read_split
from mfsynth.errors import BuildError, SourceError
from mfsynth.options import BuildOptions, Selection, choose

PICTURES = [Picture(7), Picture(12), Picture(30)]
W, H = PICTURES[0].width, PICTURES[0].height
LEFT, RIGHT = [[0, 0, 28, 0, 28, 40, 0, 40]], [[28, 0, 56, 0, 56, 40, 28, 40]]

Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    write_coco(tmp_path / "coco", "s", PICTURES)
    return tmp_path / "coco"


def read(coco: Path, change: Change = lambda _: None, masks: Any = "panoptic", say: Any = None) -> Split:
    content = edit_annotations(coco, "s")
    change(content)
    save_annotations(coco, "s", content)
    return read_split(coco, "s", masks, cache=coco / "cache", say=say or (lambda _: None))


def image(**values: Any) -> Change:
    """Change the record of image 12."""
    return lambda content: content["images"][1].update(values)


def annotation(**values: Any) -> Change:
    return lambda content: content["annotations"][1].update(values)


def segment(**values: Any) -> Change:
    return lambda content: content["annotations"][1]["segments_info"][0].update(values)


def without(name: str, place: str = "images") -> Change:
    return lambda content: content[place][1].pop(name)


def again(place: str, **values: Any) -> Change:
    """List a record of image 12 a second time, with some values changed."""
    return lambda content: content[place].append(content[place][1] | values)


SIDE = r"it must be a whole number from 1 to 268,435,456"
COSTLY: dict[str, tuple[Change, str]] = {
    "width 0": (image(width=0), rf"images\[1\]: width is 0; {SIDE}"),
    "width 96.5": (image(width=96.5), rf"images\[1\]: width is 96.5; {SIDE}"),
    "width in words": (image(width="wide"), rf'images\[1\]: width is "wide"; {SIDE}'),
    "width null": (image(width=None), rf"images\[1\]: width is null; {SIDE}"),
    "width of 200 digits": (image(width=10**200), rf"images\[1\]: width is 1{{1}}0{{39}}…; {SIDE}"),
    "many pixels": (image(width=2**15, height=2**14), "32768 x 16384 is more than 268,435,456 pixels"),
    "no height": (without("height"), r"images\[1\]: it has no height"),
    "no name": (without("file_name"), r"images\[1\]: it has no file_name"),
    "a name that is a number": (image(file_name=12), r"images\[1\]: file_name is 12; it must be the name of"),
    "listed twice": (again("images", width=57), "it is listed twice, and the two records differ"),
    "two annotations": (again("annotations", segments_info=[]), "it has two annotations, and they differ"),
    "no segments": (without("segments_info", "annotations"), r"annotations\[1\]: it has no segments_info"),
    "segments null": (
        annotation(segments_info=None),
        r"annotations\[1\]: segments_info is null; it must be a",
    ),
    "a segment null": (annotation(segments_info=[None]), r"annotations\[1\]: segments_info\[0\]: it is null"),
    "no name of a mask": (without("file_name", "annotations"), r"annotations\[1\]: it has no file_name"),
    "segment -1": (segment(id=-1), r"it lists segment id -1, which is not between 1 and 2\^24 - 1"),
    "segment 2^24": (
        segment(id=1 << 24),
        r"it lists segment id 16777216, which is not between 1 and 2\^24 - 1",
    ),
    "segment in words": (
        segment(id="x"),
        r'annotations\[1\]: segments_info\[0\]: id is "x"; it must be a whole',
    ),
    "a segment twice": (segment(id=1001), "it lists segment id 1001 twice"),
    "category in words": (
        segment(category_id="cat"),
        r'segments_info\[0\]: category_id is "cat"; it must be',
    ),
    "category 10^30": (segment(category_id=10**30), r"segments_info\[0\]: category_id is 10{30}; it must be"),
    "many segments": (
        annotation(segments_info=[{"id": k} for k in range(1, 30_002)]),
        "it lists 30,001 segments, the limit is 30,000",
    ),
}


@pytest.mark.parametrize("fault", COSTLY)
def test_an_odd_record_costs_its_own_image(coco: Path, fault: str) -> None:
    change, text = COSTLY[fault]
    untouched = read(coco)
    split = read(coco, change)
    assert [entry.image.id for entry in split.entries] == [7, 12, 30]
    assert (split.entries[0], split.entries[2]) == (untouched.entries[0], untouched.entries[2])
    choice = choose(split, BuildOptions("s"))
    assert choice.left_out == {"bad-record": (12,)}
    with pytest.raises(SourceError, match=rf"^image 12 cannot be used: .*{text}"):
        raise SourceError(choice.faults[0].detail)


def test_a_bad_record_is_counted_and_named_and_stops_only_a_strict_build(
    coco: Path, tmp_path: Path, cli: Cli
) -> None:
    read(coco, image(width=0))
    command = ["build", "--split", "s", "--coco", coco, "--out", tmp_path / "out"]
    with pytest.raises(
        BuildError, match=r"^image 12 cannot be used: images\[1\]: width is 0; .*--strict is on"
    ):
        build(BuildOptions("s"), Run(coco, tmp_path / "out", strict=True))
    run = cli(*command)
    assert run.returncode == 0
    assert "left out 1: bad-record (its records in the annotations are malformed or contra" in run.stdout
    assert "image 12 cannot be used: images[1]: width is 0; it must be a whole number" in run.stderr
    assert Manifest.read(tmp_path / "out").left_out == {"bad-record": (12,)}
    (tmp_path / "ids").write_text("!12\n")
    avoided = cli(*command, "--overwrite", "--strict", "--images", tmp_path / "ids")
    assert (avoided.returncode, avoided.stderr) == (0, "")


def test_faults_are_logged_where_samples_are_made_without_shards(
    coco: Path, caplog: pytest.LogCaptureFixture
) -> None:
    read(coco, image(width=0))
    with caplog.at_level(logging.WARNING, "mfsynth.live"):
        live = mfsynth.synthesize(coco, "s")
    assert [record.getMessage()[:27] for record in caplog.records] == ["image 12 cannot be used: im"]
    assert len(list(live)) == 2


def test_a_license_that_is_not_wanted_is_the_reason_even_of_a_bad_record(coco: Path, tmp_path: Path) -> None:
    read(coco, image(width=0, license=3))
    run = Run(coco, tmp_path / "out", workers=1, strict=True)
    assert build(BuildOptions("s", licenses=(4,)), run).left_out == {"license": (12,)}


def test_files_without_names_as_those_of_lvis_are_named(coco: Path) -> None:
    def like_lvis(content: dict[str, Any]) -> None:
        for each in content["images"]:
            each["coco_url"] = f"http://images.cocodataset.org/s/{each.pop('file_name')}"

    text = r"none of the images of s can be used \(3 bad-record\); image 7 cannot be used: .*as in LVIS"
    with pytest.raises(SourceError, match=text):
        choose(read(coco, like_lvis), BuildOptions("s"))


HARMLESS: dict[str, Change] = {
    "nothing": lambda _: None,
    "56.0": image(width=56.0, height=40.0),
    "in quotes": image(width="56", height="40.0", id="12", license="4"),
    "annotation in quotes": annotation(image_id="12"),
    "image ids with a point": annotation(image_id=12.0),
    "segment in quotes": segment(id="255", iscrowd="0", category_id="1", area=str(8 * 40)),
    "void listed": lambda c: c["annotations"][1]["segments_info"].append({"id": 0, "category_id": 0}),
    "the same record twice": again("images"),
    "the same annotation twice": again("annotations"),
    "licenses null": lambda c: c.update(licenses=None),
    "no licenses": lambda c: c.pop("licenses"),
    "no info, no categories": lambda c: (c.pop("info"), c.pop("categories")),
    "iscrowd null": segment(iscrowd=None),
    "iscrowd false": segment(iscrowd=False),
    "unknown fields": image(split="s", extra={"a": [1, None]}, date_captured=None),
    "addresses null": image(coco_url=None, flickr_url=None),
    "an address that is a number": image(coco_url=5, width="56"),
    "another order": lambda c: (c["images"].reverse(), c["annotations"].reverse()),
}


@pytest.mark.parametrize("change", HARMLESS)
def test_values_that_are_unambiguous_are_read(coco: Path, change: str) -> None:
    def facts(split: Split) -> list[object]:
        return [
            (each.image, each.mask_name, [(s.id, s.category_id, int(s.iscrowd)) for s in each.segments or ()])
            for each in split.entries
        ]

    expected = facts(read(coco))
    split = read(coco, HARMLESS[change])
    assert facts(split) == expected
    assert (split.strays, [entry.fault for entry in split.entries]) == ((), [None] * 3)


def test_what_nothing_depends_on_may_be_missing(coco: Path) -> None:
    split = read(coco, lambda c: (image(license="CC BY")(c), segment(category_id=None, area="big")(c)))
    assert split.entries[1].image.license == 0
    segments = split.entries[1].segments or ()
    assert (segments[0].category_id, segments[0].area) == (0, None)
    assert read_image(split.entries[1]).infos[1].area > 0


STRAYS: list[tuple[Change, str]] = [
    (image(id=-5), r"images\[1\]: id is -5; it must be a whole number from 0 to 2\^63 - 1"),
    (
        image(id=2**63),
        r"images\[1\]: id is 9223372036854775808; it must be a whole number from 0 to 2\^63 - 1",
    ),
    (image(id=None), r"images\[1\]: id is null"),
    (without("id"), r"images\[1\]: it has no id"),
    (lambda c: c["images"].append(7), r"images\[3\]: it is 7, not an object"),
    (lambda c: c["annotations"].append([]), r"annotations\[3\]: it is \[\], not an object"),
    (annotation(image_id=None), r"annotations\[1\]: image_id is null"),
    (lambda c: c.update(licenses={"4": "CC"}), r'licenses is {"4": "CC"}; it must be a list of licenses'),
]


@pytest.mark.parametrize(("change", "text"), STRAYS)
def test_a_record_of_no_image_is_skipped_and_counted(
    coco: Path, tmp_path: Path, change: Change, text: str
) -> None:
    read(coco, change)
    said: list[str] = []
    report = build(BuildOptions("s"), Run(coco, tmp_path / "out", workers=1, say=said.append))
    assert report.skipped == {"stray-record": 1}
    assert Manifest.read(tmp_path / "out").skipped == {"stray-record": 1}
    assert any(line.startswith("skipped 1 record of the annotations: stray-rec") for line in report.lines())
    with pytest.raises(BuildError, match=rf"^{text}.*: this record is skipped; --strict is on"):
        build(BuildOptions("s"), Run(coco, tmp_path / "out", strict=True))
    assert any(line.endswith("this record is skipped") for line in said)


def test_annotations_of_images_that_are_not_listed_are_told_of(coco: Path) -> None:
    said: list[str] = []
    split = read(coco, lambda c: c["images"].pop(), say=said.append)
    assert [entry.image.id for entry in split.entries] == [7, 12]
    assert said == [
        f"{annotations_path(coco, 's')} has annotations for 1 image that it does not list (30): "
        "they are ignored"
    ]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda c: c.pop("images"), "it has no images; images must be a list"),
        (lambda c: c.update(images=None), "its images are null; images must be a list"),
        (lambda c: c.pop("annotations"), "it has no annotations; annotations must be a list"),
        (lambda c: c.update(annotations={"1": []}), r'its annotations are {"1": \[\]}; annotations must be'),
    ],
)
def test_a_file_without_the_lists_is_refused(coco: Path, change: Change, text: str) -> None:
    with pytest.raises(SourceError, match=rf"panoptic_s.json does not list a split as COCO does: {text}"):
        read(coco, change)


# --- the text -----------------------------------------------------------------------------------------


READABLE: dict[str, Callable[[str], bytes]] = {
    "UTF-8 with a mark": lambda text: text.encode("utf-8-sig"),
    "UTF-16": lambda text: text.encode("utf-16"),
    "UTF-16, big-endian, without a mark": lambda text: text.encode("utf-16-be"),
    "UTF-32": lambda text: text.encode("utf-32"),
    "NaN": lambda text: text.replace('"info": {', '"info": {"a, NaN": [NaN, -Infinity,Infinity], ').encode(),
    "half a letter": lambda text: text.replace('"description": "s"', r'"description": "\ud800"').encode(),
    "Latin-1 where it does not matter": lambda text: text.replace("Attribution", "Zuschreibung für").encode(
        "latin-1"
    ),
    "numbers of 5,000 digits where they do not matter": lambda text: text.replace(
        '"info": {', '"info": {"a": ' + "9" * 5000 + ", "
    ).encode(),
    "1e400": lambda text: text.replace('"info": {', '"info": {"a": 1e400, ').encode(),
    "spaces and lines": lambda text: json.dumps(json.loads(text), indent=4).encode() + b"\r\n\r\n",
}


@pytest.mark.parametrize("kind", READABLE)
def test_text_that_is_unambiguous_is_read(coco: Path, kind: str) -> None:
    expected = read(coco).entries
    path = annotations_path(coco, "s")
    path.write_bytes(READABLE[kind](path.read_text()))
    assert read_split(coco, "s", cache=coco / "cache").entries == expected


def test_an_area_that_is_not_a_number_is_unknown_and_such_a_width_costs_the_image(coco: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        content["images"][0]["width"] = float("inf")
        content["annotations"][1]["segments_info"][0]["area"] = float("nan")

    untouched, split = read(coco), read(coco, change)
    assert split.entries[2] == untouched.entries[2]
    choice = choose(split, BuildOptions("s"))
    assert [entry.image.id for entry in choice.entries] == [12, 30]
    assert 'images[0]: width is "Infinity"; it must be a whole number' in choice.faults[0].detail


def test_a_number_of_thousands_of_digits_costs_its_image(coco: Path) -> None:
    read(coco, image(width="NINES"))
    path = annotations_path(coco, "s")
    path.write_text(path.read_text().replace('"NINES"', "9" * 5000))
    choice = choose(read_split(coco, "s", cache=coco / "cache"), BuildOptions("s"))
    assert choice.left_out == {"bad-record": (12,)}
    assert 'images[1]: width is "9999999' in choice.faults[0].detail


def test_a_name_that_is_not_utf_8_costs_its_image(coco: Path) -> None:
    read(coco, image(file_name="für.jpg"))
    path = annotations_path(coco, "s")
    path.write_bytes(path.read_bytes().replace(rb"f\u00fcr", "für".encode("latin-1")))
    entries = read_split(coco, "s", cache=coco / "cache").entries
    assert [isinstance(entry.picture, Missing) for entry in entries] == [False, True, False]


def lines(text: str) -> bytes:
    return "\n".join(json.dumps(each) for each in json.loads(text)["images"]).encode()


NAMED: dict[str, tuple[Callable[[str], bytes], str]] = {
    "gzip": (lambda text: gzip.compress(text.encode()), "is a gzip file, not JSON; unpack it: gunzip"),
    "Git LFS": (
        lambda _: b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
        "is a Git LFS pointer, not JSON; fetch the file itself with: git lfs pull",
    ),
    "a page": (
        lambda _: b"<!DOCTYPE html><html></html>",
        "is an HTML page, not JSON; download the file again: a server sent a page instead",
    ),
    "a picture": (lambda _: b"\x89PNG\r\n\x1a\n", "is a PNG, not JSON; download or write it again"),
    "nothing": (lambda _: b"", "is empty; download or write it again"),
    "zeros": (lambda _: bytes(4096), "is empty; download or write it again"),
    "lines": (lines, "holds a JSON document on each line; COCO's format is a single document"),
    "two documents": (lambda text: (text * 2).encode(), "holds several JSON documents, one after the other"),
    "two in UTF-16": (lambda text: (text * 2).encode("utf-16"), "holds several JSON documents, one after"),
    "more at the end": (lambda text: f"{text}}}".encode(), "has extra data after its JSON document: '}'"),
    "cut": (lambda text: text[:-9].encode(), "is not COCO JSON: .*; it may be cut short: download or write"),
    "cut in UTF-16": (lambda text: text[:-9].encode("utf-16"), "is not COCO JSON: .*; it may be cut short"),
    "a list": (lambda text: f"[{text}]".encode(), r"does not list a split as COCO does: it holds \[{"),
    "a number": (
        lambda _: b"7",
        "does not list a split as COCO does: it holds 7; COCO's format is one object",
    ),
    "a list of a number of 5,000 digits": (
        lambda _: b"[" + b"9" * 5000 + b"]",
        r"does not list a split as COCO does: it holds \[9{39}…; COCO's format is one object",
    ),
    "images that are a number of 5,000 digits": (
        lambda _: b'{"images": ' + b"9" * 5000 + b"}",
        r"does not list a split as COCO does: its images are 9{40}…; images must be a list",
    ),
    "brackets": (
        lambda text: ('{"x":' + "[" * 200_000 + "]" * 200_000 + "," + text[1:]).encode(),
        "is nested too deeply",
    ),
    "brackets after NaN": (
        lambda text: ('{"y":NaN,"x":' + "[" * 200_000 + "]" * 200_000 + "," + text[1:]).encode(),
        "is nested too deeply",
    ),
}


@pytest.mark.parametrize("kind", NAMED)
def test_text_that_cannot_be_read_is_named_as_what_it_is(coco: Path, kind: str) -> None:
    spoil, text = NAMED[kind]
    path = annotations_path(coco, "s")
    path.write_bytes(spoil(path.read_text()))
    with pytest.raises(SourceError, match=f"panoptic_s.json {text}"):
        read_split(coco, "s", cache=coco / "cache")


def test_a_file_beyond_the_limit_is_refused_before_it_is_read(coco: Path) -> None:
    os.truncate(annotations_path(coco, "s"), 9 << 30)
    with pytest.raises(SourceError, match=r"panoptic_s.json has 9.7 GB, the limit is 8.6 GB"):
        read_split(coco, "s", cache=coco / "cache")


# --- instances ----------------------------------------------------------------------------------------


def write_instances(coco: Path, records: list[dict[str, Any]]) -> None:
    content = edit_annotations(coco, "s") | {"annotations": records}
    (coco / "annotations" / "instances_s.json").write_text(json.dumps(content))


def halves(*ids: object) -> list[dict[str, Any]]:
    """Two instances of each image, its left and its right half, with these ids."""
    return [
        {
            "id": id,
            "image_id": PICTURES[k // 2].id,
            "category_id": 1 + k % 2,
            "segmentation": (LEFT, RIGHT)[k % 2],
        }
        for k, id in enumerate(ids)
    ]


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ((1, 2, 3, 4, 5, 6), [[1, 2], [3, 4], [5, 6]]),
        ((0, 1, 2, 3, 4, 5), [[1, 2], [2, 3], [4, 5]]),
        ((1, 2, 1, 2, 1, 2), [[1, 2], [1, 2], [1, 2]]),
        ((0,) * 6, [[1, 2]] * 3),
        ((9, 9, 9, 8, -1, 5), [[1, 2], [8, 9], [1, 2]]),
        (("a", "b", "7", "8", None, 1), [[1, 2], [7, 8], [1, 2]]),
        ((2**63, 1, 2**63 - 1, 1, 10**30, 1), [[1, 2], [1, 2**63 - 1], [1, 2]]),
    ],
)
def test_ids_of_instances_only_tell_them_apart(coco: Path, ids: tuple[object, ...], expected: object) -> None:
    write_instances(coco, halves(*ids))
    images = [read_image(entry) for entry in read(coco, masks="instances").entries]
    assert [[info.id for info in each.infos] for each in images] == expected
    for each in images:
        assert {info.area for info in each.infos} == {W * H // 2}
        left = each.infos[each.segments[0, 0]]
        assert left.category_id == 1
        assert (each.segments[:, : W // 2] == left.index).all()


@pytest.mark.parametrize(
    "outline",
    [..., None, [], [[]], [[], []], [[0, 0, 48, 64]], [[0, 0], [9, 9]], [[1, 2, 3, 4]] * 9, ""],
    ids=str,
)
def test_an_instance_without_outline_is_skipped_and_counted(
    coco: Path, tmp_path: Path, outline: object
) -> None:
    odd = {"id": 5, "image_id": 12, "category_id": 1, "bbox": [0, 0, 9, 9], "segmentation": outline}
    write_instances(coco, [*halves(11, 12, 13, 14), {k: v for k, v in odd.items() if v is not ...}])
    said: list[str] = []
    options = BuildOptions("s", masks="instances")
    report = build(options, Run(coco, tmp_path / "out", workers=1, say=said.append))
    assert (report.samples, report.skipped) == (2, {"box-only": 1})
    assert said == ["image 12 is used in part: instance 5 has no outline; a box is not enough"]
    with pytest.raises(BuildError, match=r"image 12 is used in part: instance 5 has no outline; .*--strict"):
        build(options, Run(coco, tmp_path / "strict", strict=True))
    infos = [sample.recipe.segments for sample in mfsynth.open(tmp_path / "out")]
    assert [[info.id for info in each] for each in infos] == [[11, 12], [13, 14]]


def test_an_image_whose_instances_have_boxes_only_is_left_out(coco: Path, tmp_path: Path) -> None:
    boxes = [{"id": k, "image_id": 12, "category_id": 1, "bbox": [0, 0, 9, 9]} for k in (1, 2)]
    write_instances(coco, [*halves(11, 12), *boxes])
    choice = choose(read(coco, masks="instances"), BuildOptions("s", masks="instances"))
    assert choice.left_out == {"no-annotation": (30,), "no-outline": (12,)}
    assert [fault.detail for fault in choice.faults] == [
        "image 12 cannot be used: its 2 instances have no outline; a box is not enough"
    ]


def test_an_odd_instance_costs_its_image(coco: Path) -> None:
    records = halves(1, 2, 3, 4, 5, 6)
    records[2]["category_id"] = "cat"
    records[4]["area"] = "large"  # shows nothing, costs nothing
    write_instances(coco, records)
    choice = choose(read(coco, masks="instances"), BuildOptions("s", masks="instances"))
    assert choice.left_out == {"bad-record": (12,)}
    assert 'annotations[2]: category_id is "cat"; it must be a whole number' in choice.faults[0].detail


def test_run_lengths_that_do_not_fit_cost_their_image(coco: Path, tmp_path: Path) -> None:
    records = halves(1, 2, 3, 4, 5, 6)
    records[2]["segmentation"] = {"size": [H, W], "counts": [0, H * W + 1]}
    records[4]["segmentation"] = {"size": [H, W], "counts": [0, H * 28]}
    write_instances(coco, records)
    run = Run(coco, tmp_path / "out", workers=1)
    assert build(BuildOptions("s", masks="instances"), run).left_out == {"bad-instance": (12,)}
    side = (tmp_path / "out" / ".parts" / "s-000000.json").read_text()
    assert "instance 3: its RLE counts run over: 2241 pixels, the picture has 2240" in side


# --- large ids ----------------------------------------------------------------------------------------


def test_ids_of_any_length_are_built_opened_and_verified(tmp_path: Path, cli: Cli) -> None:
    ids = [5, 10**12 - 1, 10**12, 98 * 10**11, 7_706_992_903_151_817_190, 2**63 - 1]
    write_coco(tmp_path / "coco", "s", [Picture(id) for id in ids])
    out = tmp_path / "out"
    options = BuildOptions("s", shards=3, images=Selection(tuple(ids)))
    assert build(options, Run(tmp_path / "coco", out, workers=1, strict=True)).samples == 6
    data = mfsynth.open(out)
    assert sorted(sample.recipe.image.id for sample in data) == ids
    for id in ids:
        assert data[f"{id:012d}-000"].recipe.image.id == id
    assert mfsynth.verify(out, samples=6).problems == ()
    run = cli("preview", out, "-o", tmp_path / "sheet.png")
    assert (run.returncode, run.stderr) == (0, "")
    assert Selection.parse(f"{2**63 - 1}", "ids").take == (2**63 - 1,)


# --- anything -----------------------------------------------------------------------------------------


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
PLACES = st.sampled_from(
    [
        *(("images", 1, name) for name in ("id", "width", "height", "file_name", "license", "coco_url")),
        *(("annotations", 1, name) for name in ("image_id", "file_name", "segments_info")),
        *(("annotations", 1, "segments_info", 0, name) for name in ("id", "category_id", "iscrowd", "area")),
        ("annotations", 1, "segments_info", 0),
        ("annotations", 1),
        ("images", 1),
        ("licenses",),
    ]
)


@pytest.fixture(scope="module")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("any") / "coco"
    write_coco(folder, "s", PICTURES)
    return folder


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(PLACES, VALUES)
def test_whatever_one_record_holds_the_other_images_are_used(
    shared_folder: Path, place: tuple[str | int, ...], value: object
) -> None:
    def change(content: Any) -> None:
        for step in place[:-1]:
            content = content[step]
        content[place[-1]] = value

    write_annotations(shared_folder, "s", PICTURES)
    untouched = read(shared_folder).entries
    try:
        split = read(shared_folder, change)
    except SourceError as error:
        assert "leads outside its folder" in str(error)  # noqa: PT017
        return
    found = {entry.image.id: entry for entry in split.entries}
    assert all(found[each.image.id] in (each, *faulty(found)) for each in (untouched[0], untouched[2]))
    assert len(faulty(found)) <= 1
    choose(split, BuildOptions("s"))


def faulty(entries: dict[int, Entry]) -> list[Entry]:
    return [entry for entry in entries.values() if entry.fault]


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_whatever_bytes_a_file_holds_it_is_read_or_refused(shared_folder: Path, data: st.DataObject) -> None:
    write_annotations(shared_folder, "s", PICTURES)
    path = annotations_path(shared_folder, "s")
    text = bytearray(path.read_bytes()[:2500])  # without the end
    whole = bytearray(path.read_bytes())
    text = data.draw(st.sampled_from([text, whole]))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text) - 1))
        text[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    path.write_bytes(text)
    with suppress(SourceError):
        choose(read_split(shared_folder, "s", cache=shared_folder / "cache"), BuildOptions("s"))
