from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
from coco_folder import mask_bgr
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as rle
from pycocotools.coco import COCO

from mfsynth.coco.finding.files import FileRef
from mfsynth.coco.masks.segments import Instance, ListedSegment, instance_segments, panoptic_segments
from mfsynth.coco.split import read_split
from mfsynth.errors import UnusableImage


def png(ids: np.ndarray) -> bytes:
    return cv2.imencode(".png", mask_bgr(ids))[1].tobytes()


def listed(ids: np.ndarray) -> list[ListedSegment]:
    return [ListedSegment(int(id), 1) for id in np.unique(ids)[::-1] if id]


@settings(deadline=None, max_examples=30)
@given(
    count=st.sampled_from([2, 3, 40, 254, 255, 256, 257, 300]), void=st.booleans(), seed=st.integers(0, 99)
)
def test_segments_are_numbered_by_ascending_id_void_first(count: int, void: bool, seed: int) -> None:
    rng = np.random.Generator(np.random.Philox(key=seed))
    pool = np.unique(rng.integers(1, 1 << 24, 2 * count))[:count]
    if void:
        pool[0] = 0
    ids = (
        rng.permutation(np.concatenate([pool, rng.choice(pool, 900 - count)]))
        .reshape(30, 30)
        .astype(np.uint32)
    )
    segments, infos = panoptic_segments(png(ids), listed(ids), (30, 30))
    unique, expected = np.unique(ids, return_inverse=True)
    assert np.array_equal(segments, expected.reshape(30, 30))
    assert segments.dtype == (np.uint8 if count <= 256 else np.uint16)
    assert [info.id for info in infos] == unique.tolist()
    assert [info.area for info in infos] == np.bincount(expected.ravel()).tolist()
    assert [info.index for info in infos] == list(range(count))


def test_ids_missing_on_one_side_are_named() -> None:
    ids = np.full((4, 4), 7, np.uint32)
    ids[0] = 9
    with pytest.raises(UnusableImage, match="the mask has segment id 9, the annotations do not") as unknown:
        panoptic_segments(png(ids), [ListedSegment(7, 1)], (4, 4))
    with pytest.raises(
        UnusableImage, match="the annotations have segment id 8, the mask does not"
    ) as missing:
        panoptic_segments(png(ids), [ListedSegment(id, 1) for id in (7, 8, 9)], (4, 4))
    assert (unknown.value.reason, missing.value.reason) == ("unknown-segment", "missing-segment")


def test_a_mask_of_another_size_is_named_before_it_is_decoded() -> None:
    header = struct.pack(">IIBBBBB", 25_000, 24_000, 8, 2, 0, 0, 0)
    checksum = struct.pack(">I", zlib.crc32(b"IHDR" + header))
    bomb = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + header + checksum  # and nothing to decode
    with pytest.raises(UnusableImage, match="is 25000 x 24000, the annotations say 6 x 4") as caught:
        panoptic_segments(bomb, [ListedSegment(7, 1)], (4, 6))
    assert caught.value.reason == "size-mismatch"


def test_a_gray_mask_is_read_if_its_values_are_the_ids() -> None:
    values = np.uint16([[0, 300], [300, 9]])
    gray = cv2.imencode(".png", values)[1].tobytes()
    segments, infos = panoptic_segments(gray, [ListedSegment(9, 1), ListedSegment(300, 1)], (2, 2))
    assert segments.tolist() == [[0, 2], [2, 1]]
    assert [info.id for info in infos] == [0, 9, 300]
    with pytest.raises(UnusableImage, match="it is a 16-bit gray PNG, and its values are not the") as caught:
        panoptic_segments(gray, [ListedSegment(9, 1), ListedSegment(301, 1)], (2, 2))
    assert caught.value.reason == "mask-broken"


def instance(id: int, segmentation: object, iscrowd: int = 0) -> Instance:
    return Instance(1, id, id, msgspec.Raw(json.dumps(segmentation).encode()), 1, iscrowd)


def box(left: int, top: int, right: int, bottom: int) -> list[list[int]]:
    return [[left, top, right, top, right, bottom, left, bottom]]


def test_small_instances_lie_on_large_ones_and_crowds_below_all() -> None:
    crowd = np.zeros((20, 30), np.uint8, order="F")
    crowd[:, :25] = 1
    compressed = rle.encode(crowd)
    shape = {"size": compressed["size"], "counts": compressed["counts"].decode()}
    uncompressed = {"size": [20, 30], "counts": [0, 20 * 2, 20 * 28]}
    instances = [
        instance(5, box(5, 5, 8, 8)),
        instance(6, box(2, 2, 20, 18)),
        instance(9, shape, iscrowd=1),
        instance(12, uncompressed),
    ]
    segments, infos = instance_segments(instances, (20, 30))
    ids = np.array([info.id for info in infos])[segments]
    assert [info.id for info in infos] == [0, 5, 6, 9, 12]
    assert (ids[6, 6], ids[10, 10], ids[19, 24], ids[10, 1], ids[10, 28]) == (5, 6, 9, 12, 0)
    assert [info.area for info in infos] == [int((ids == info.id).sum()) for info in infos]


BOX = box(5, 5, 12, 9)
UNREADABLE: list[tuple[object, str]] = [
    (7, "its outline is 7, neither polygons nor RLE"),
    ("PYN3", 'its outline is "PYN3", neither polygons nor RLE'),
    ([[1, 2, 3]], "its outline holds an odd number of coordinates, 3"),
    ([*BOX, [1] * 7], "its outline holds an odd number of coordinates, 7"),
    ([["a"] * 6], r'its outline holds \["a",.*not the x and y of points'),
    ([*BOX, None], "its outline holds null, not the x and y of points"),
    ([[[[0, 0], [9, 0], [9, 9]]]], "its outline holds .*, not the x and y of points"),
    ([[0, 0, 1e8, 0, 9, 9]], "its outline reaches 100000000.0, far outside any picture"),
    ([[0, 0, 1e300, 0, 9, 9]], r"its outline reaches 1e\+300, far outside any picture"),
    ([[0, 0, 1e7, 0, 9, 9]], "its outline is longer than 4,194,304 pixels"),
    ({}, r"its RLE has the size null, not \[height, width\]"),
    ({"size": [20, 30]}, "its RLE has the counts null, neither a list nor text"),
    ({"size": [20, 30], "counts": [5, None]}, "its RLE counts hold null, not a length"),
    ({"size": [20, 30], "counts": [5, 1.5]}, "its RLE counts hold 1.5, not a length"),
    ({"size": [20, 30], "counts": [5, "9"]}, 'its RLE counts hold "9", not a length'),
    ({"size": [20, 30], "counts": [9, -4, 9]}, "its RLE counts hold the negative length -4"),
    ({"size": [20, 30], "counts": [500, 101]}, "its RLE counts run over: 601 pixels, the picture has 600"),
    ({"size": [20, 30], "counts": [0, 10**30]}, "its RLE counts run over: 10+ pixels, the picture has 600"),
    (
        {"size": [20, 30], "counts": "b'PY1'"},
        "its RLE counts are not compressed .* a character that RLE does not use",
    ),
    ({"size": [20, 30], "counts": "oo"}, "its RLE counts are not compressed .* cut short or too long"),
    ({"size": [20, 30], "counts": "o" * 9 + "0"}, "its RLE counts are not compressed .* too long"),
    ({"size": [20, 30], "counts": "5jd0"}, "its RLE counts run over"),
]


@pytest.mark.parametrize(("shape", "text"), UNREADABLE, ids=str)
def test_what_is_wrong_with_an_outline_is_said_in_the_words_of_the_data(shape: object, text: str) -> None:
    with pytest.raises(UnusableImage, match=f"^instance 3: {text}") as caught:
        instance_segments([instance(3, shape)], (20, 30))
    assert caught.value.reason == "bad-instance"


def test_a_shape_of_another_size_is_refused() -> None:
    for size in ([9, 9], [30, 20]):
        with pytest.raises(
            UnusableImage, match=r"instance 3: its RLE has the size .*, the picture"
        ) as caught:
            instance_segments([instance(3, {"size": size, "counts": [0, 81]})], (20, 30))
        assert caught.value.reason == "size-mismatch"


@pytest.mark.parametrize(
    "shape",
    [
        [5, 5, 12, 5, 12, 9, 5, 9],
        [[5, 5], [12, 5], [12, 9], [5, 9]],
        [[[5, 5], [12, 5], [12, 9], [5, 9]]],
        [*BOX, [], [1, 2, 3, 4]],
        [[1, 2, 3, 4], *BOX],
    ],
    ids=str,
)
def test_an_outline_may_be_flat_or_in_pairs_or_have_lines_beside_it(shape: object) -> None:
    expected, _ = instance_segments([instance(3, BOX)], (20, 30))
    segments, infos = instance_segments([instance(3, shape)], (20, 30))
    assert np.array_equal(segments, expected)
    assert [(info.id, info.area) for info in infos] == [(0, 572), (3, 28)]


def test_crowds_may_have_polygons_and_tools_may_write_true() -> None:
    segments, infos = instance_segments(
        [instance(1, box(0, 0, 9, 9), iscrowd=True), instance(2, box(5, 5, 20, 20))], (20, 30)
    )
    assert segments[7, 7] == 2  # larger, but no crowd
    assert [(info.id, info.iscrowd, type(info.iscrowd)) for info in infos] == [
        (0, 0, int),
        (1, 1, int),
        (2, 0, int),
    ]


def test_real_instances_are_painted_as_pycocotools_paints_them(shared_coco: Path, tmp_path: Path) -> None:
    reference = COCO(str(shared_coco / "annotations" / "instances_val2017.json"))
    split = read_split(shared_coco, "val2017", "instances", cache=tmp_path)
    for entry in split.entries[:12]:
        size = (entry.image.height, entry.image.width)
        segments, infos = instance_segments(entry.instances or (), size)
        painted = np.zeros(size, np.int64)
        annotations = reference.imgToAnns[entry.image.id]
        masks = {a["id"]: reference.annToMask(a) for a in annotations}
        for a in sorted(annotations, key=lambda a: (-a["iscrowd"], -int(masks[a["id"]].sum()), a["id"])):
            painted[masks[a["id"]] == 1] = a["id"]
        assert np.array_equal(np.array([info.id for info in infos])[segments], painted)


def test_real_panoptic_areas_are_those_of_the_annotations(shared_coco: Path, tmp_path: Path) -> None:
    for entry in read_split(shared_coco, "val2017", cache=tmp_path).entries:
        assert isinstance(entry.mask, FileRef)
        _, infos = panoptic_segments(
            entry.mask.read(), entry.segments or (), (entry.image.height, entry.image.width)
        )
        areas = {segment.id: segment.area for segment in entry.segments or ()}
        assert {info.id: info.area for info in infos if info.id} == areas
