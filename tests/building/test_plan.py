from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from coco_folder import Picture, edit_annotations, save_annotations, write_coco
from hypothesis import given
from hypothesis import strategies as st

from mfsynth.building.plan import Plan, make_plan, share_out
from mfsynth.coco.split import read_split
from mfsynth.errors import BuildError, OptionsError, ShardError, SourceError
from mfsynth.options import BuildOptions, Selection


def plan(coco: Path, split: str = "small", *, strict: bool = False, **options: object) -> Plan:
    read = read_split(coco, split, cache=coco / "cache")
    return make_plan(read, BuildOptions(split, **options), strict=strict)  # type: ignore[arg-type]


def ids(planned: Plan) -> list[list[int]]:
    return [[entry.image.id for entry in shard] for shard in planned.shards]


@given(st.integers(1, 300), st.integers(1, 300))
def test_image_k_of_n_goes_to_shard_k_s_over_n(images: int, shards: int) -> None:
    shards = min(images, shards)
    shared = share_out(range(images), shards)  # type: ignore[arg-type]
    assert [number for number, part in enumerate(shared) for _ in part] == [
        k * shards // images for k in range(images)
    ]
    assert [image for part in shared for image in part] == list(range(images))
    assert all(shared)


def test_images_come_in_ascending_id_whatever_the_annotations_order(tmp_path: Path) -> None:
    write_coco(tmp_path, "s", [Picture(id) for id in (30, 10, 20, 5)])
    assert ids(plan(tmp_path, "s", shards=2)) == [[5, 10], [20, 30]]


def test_the_default_is_a_shard_for_each_thousand_samples(small_coco: Path) -> None:
    assert len(plan(small_coco).shards) == 1
    assert len(plan(small_coco, variants=300).shards) == 3  # 9 images x 300


def test_more_shards_than_images_are_refused(small_coco: Path) -> None:
    with pytest.raises(
        OptionsError, match=r"--shards 10 is more than the number of images, 9; use --shards 9 or fewer"
    ):
        plan(small_coco, shards=10)


def test_what_annotations_rule_out_takes_no_place(tmp_path: Path) -> None:
    write_coco(
        tmp_path,
        "s",
        [
            Picture(1, license=3),
            Picture(2),
            Picture(3, ids=(7,), height=5, width=900),  # 4/5 of it one segment
            Picture(4, ids=(0,)),  # nothing but void
            Picture(5),
        ],
    )
    planned = plan(tmp_path, "s", licenses=(4, 5), min_area=0.25, shards=2)
    assert ids(planned) == [[2], [5]]
    assert planned.left_out == {"license": (1,), "min-area": (3, 4)}


def with_areas(root: Path, change: Callable[[dict], object]) -> Path:
    """Three pictures; the second one's segments are changed."""
    write_coco(root, "s", [Picture(1), Picture(2), Picture(3)])
    content = edit_annotations(root, "s")
    for segment in content["annotations"][1]["segments_info"]:
        change(segment)
    save_annotations(root, "s", content)
    return root


@pytest.mark.parametrize(
    "change",
    [
        lambda segment: segment.pop("area"),
        lambda segment: segment.update(area=None),
        lambda segment: segment.update(area=0),
        lambda segment: segment.update(area=-5),
        lambda segment: segment.update(area=56 * 40),  # of another size of the picture
    ],
)
def test_areas_that_are_missing_or_do_not_fit_rule_nothing_out(
    tmp_path: Path, change: Callable[[dict], object]
) -> None:
    planned = plan(with_areas(tmp_path, change), "s")
    assert (ids(planned), planned.left_out) == ([[1, 2, 3]], {})


def test_instances_without_areas_are_taken(tmp_path: Path) -> None:
    write_coco(tmp_path, "s", [Picture(1)])
    content = edit_annotations(tmp_path, "s")
    box = {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[0, 0, 20, 0, 20, 20, 0, 20]]}
    content["annotations"] = [box]
    (tmp_path / "annotations" / "instances_s.json").write_text(json.dumps(content))
    split = read_split(tmp_path, "s", "instances", cache=tmp_path)
    assert ids(make_plan(split, BuildOptions("s", masks="instances"))) == [[1]]


def test_an_image_without_annotation_is_left_out(tmp_path: Path) -> None:
    write_coco(tmp_path, "s", [Picture(1), Picture(2)])
    content = edit_annotations(tmp_path, "s")
    del content["annotations"][0]
    save_annotations(tmp_path, "s", content)
    assert plan(tmp_path, "s").left_out == {"no-annotation": (1,)}
    with pytest.raises(BuildError, match="image 1 cannot be used: the annotations list no mask"):
        plan(tmp_path, "s", strict=True)


def test_limit_counts_after_the_filters(small_coco: Path) -> None:
    assert ids(plan(small_coco, limit=2, images=Selection(leave=(3,)))) == [[13, 23]]


def test_selection_takes_and_leaves(small_coco: Path) -> None:
    assert ids(plan(small_coco, images=Selection(take=(83, 3, 13), leave=(13,)))) == [[3, 83]]
    with pytest.raises(OptionsError, match="--images names 1 id that small does not have: 4"):
        plan(small_coco, images=Selection(take=(3, 4)))


def test_a_long_selection_is_applied_at_once() -> None:
    """As many ids as a set each cost a search among as many others: minutes, if it were a search."""
    numbers = range(120_000)
    wanted = Selection(take=tuple(numbers[::2]), leave=tuple(numbers[::6])).rule()
    started = time.process_time()
    assert sum(map(wanted, numbers)) == 40_000
    assert time.process_time() - started < 5


def selection(path: Path, content: str | bytes) -> Selection:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return Selection.read(path)


def test_a_file_of_ids_may_be_written_on_any_system(tmp_path: Path) -> None:
    expected = Selection(take=(139,), leave=(285,))
    assert selection(tmp_path / "ids", "139\n!285 # a bear\n") == expected
    assert selection(tmp_path / "ids", b"\xef\xbb\xbf139\r\n! 285\r\n") == expected


def test_a_list_of_ids_has_a_largest_size() -> None:
    with pytest.raises(OptionsError, match=r"/dev/zero is not a list of ids: it has over 268,435,456 bytes"):
        Selection.read(Path("/dev/zero"))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("", r"ids has no image ids; write one per line, or omit --images"),
        ("# all\n\n", r"has no image ids"),
        ("139\n13x\n", r"line 2: '13x' is not an image id; write 139 or !139"),
        ("9" * 5000, r"line 1: '9{40}…' is not an image id"),
        (f"!{2**63}", r"line 1: '!9223372036854775808' is not an image id"),
        (b"\xff\xfe1\x003\x00", r"ids is not a list of ids: it is not UTF-8"),
    ],
)
def test_a_file_without_proper_ids_is_refused(tmp_path: Path, content: str | bytes, text: str) -> None:
    with pytest.raises(OptionsError, match=text):
        selection(tmp_path / "ids", content)


def test_no_image_left_is_an_error(small_coco: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"none of the images of small can be used \(9 license\)"):
        plan(small_coco, licenses=(99,))
    write_coco(tmp_path, "empty", [])
    with pytest.raises(SourceError, match="lists no images"):
        plan(tmp_path, "empty")


def test_gt_is_png_for_all_as_soon_as_one_source_is_no_jpeg(tmp_path: Path) -> None:
    write_coco(tmp_path, "s", [Picture(1), Picture(2, suffix=".png")])
    assert plan(tmp_path, "s").layout.gt == "png"
    assert plan(tmp_path, "s", limit=1).layout.gt == "jpg"


def test_inputs_are_names_and_sizes_not_places(small_coco: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(small_coco, tmp_path / "elsewhere")
    here, there = plan(small_coco).inputs, plan(tmp_path / "elsewhere").inputs
    assert here == there
    picture = next((tmp_path / "elsewhere" / "small").iterdir())
    picture.write_bytes(picture.read_bytes() + b"\0")
    changed = plan(tmp_path / "elsewhere").inputs
    assert changed.pictures != here.pictures
    assert changed.masks == here.masks
    assert changed.fingerprint != here.fingerprint


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ({"sigma": (5, 1)}, "--sigma is .*two ascending numbers"),
        ({"noise": (0, 2)}, "--noise"),
        ({"min_area": 0.5}, "--min-area is 0.5, it must be from 0 to 1/3"),
        ({"variants": 0}, "--variants is 0"),
        ({"seed": -1}, "--seed"),
        ({"split": "a/b"}, "--split"),
        ({"store": "both"}, "--store is 'both'"),
        ({"sigma": (float("nan"), 2)}, "--sigma"),
    ],
)
def test_options_that_make_no_sense_are_refused(values: dict[str, object], rule: str) -> None:
    with pytest.raises(OptionsError, match=rule):
        BuildOptions(**{"split": "s", **values})  # type: ignore[arg-type]


def test_options_go_to_json_and_back() -> None:
    options = BuildOptions("s", licenses=(4, 5), images=Selection((1,), (2,)), noise=(0.0, 0.1), shards=3)
    assert BuildOptions.from_json(options.to_json()) == options
    assert BuildOptions.from_json(options.to_json()).fingerprint == options.fingerprint
    with pytest.raises(ShardError, match="unknown fields in the build options: blurr"):
        BuildOptions.from_json(options.to_json() | {"blurr": 1})
    with pytest.raises(ShardError, match=r"malformed: .*\$.seed"):
        BuildOptions.from_json(options.to_json() | {"seed": "x"})
