"""What a manifest says is compared with itself and with the shards, leaf by leaf."""

from __future__ import annotations

import copy
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from coco_folder import Picture, write_coco

from mfsynth.building.run import Run, build
from mfsynth.errors import MfsynthError, ShardError
from mfsynth.options import BuildOptions, Selection
from mfsynth.publish.contents import check_shards
from mfsynth.shards.manifest import Manifest, fingerprint
from mfsynth.verification.check import verify

Content = dict[str, Any]
Path_ = tuple[str | int, ...]


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of verifications: starting a worker for each would take minutes. Others do."""
    monkeypatch.setattr(
        "mfsynth.engine.local.run_jobs",
        lambda work, jobs, **_: ((job, work(job, lambda _done: None)) for job in jobs),
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two licenses, a picture that is empty, one under another license, and one that was not to be taken."""
    root = tmp_path_factory.mktemp("claims")
    pictures = [(5, 4), (6, 4), (7, 3), (8, 4), (9, 5), (10, 5)]
    write_coco(root / "coco", "own", [Picture(id=id, license=license) for id, license in pictures])
    (root / "coco" / "own" / "000000000008.jpg").write_bytes(b"")
    images = Selection(take=(5, 6, 7, 8, 9), leave=(11,))
    options = BuildOptions(
        "own", variants=2, shards=2, licenses=(4, 5), images=images, store="recipe", noise=(0.0, 0.1)
    )
    build(options, Run(root / "coco", root / "set", workers=1))
    return root / "set"


@pytest.fixture
def out(whole: Path, tmp_path: Path) -> Path:
    shutil.copytree(whole, tmp_path / "set")
    return tmp_path / "set"


def content_of(folder: Path) -> Content:
    content: Content = json.loads((folder / "manifest.json").read_text())
    return content


def problems(folder: Path, content: Content) -> str:
    (folder / "manifest.json").write_text(json.dumps(content))
    try:
        return "\n".join(verify(folder, samples=0).problem_lines())
    except MfsynthError as error:
        return str(error)


def leaves(value: Any, path: Path_ = ()) -> Iterator[tuple[Path_, Any]]:
    """Every value in a document that has no others inside, with where it is."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if not value or not isinstance(value, dict | list):
        yield path, value
    for name, each in inner:
        yield from leaves(each, (*path, name))


def changes(value: Any) -> list[Any]:
    if isinstance(value, str):
        return [f"{value}0", f"{value[:-1]}{'1' if value.endswith('0') else '0'}"] if value else ["0"]
    return [value + 1, value - 1] if isinstance(value, int | float) else [[1], {"x": [1]}]


def put(content: Content, path: Path_, value: Any) -> Content:
    changed = copy.deepcopy(content)
    place: Any = changed
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    return changed


NOWHERE_ELSE = (
    "packages.", "licenses.0.name", "licenses.0.url", "licenses.1.name", "licenses.1.url", "left_out_files.",
    "inputs.files",  # several pictures may share a mask, so it is only known within bounds
)  # fmt: skip
"""What only the manifest says: a change that keeps its form cannot be noticed."""


def test_every_change_of_a_value_that_shards_can_tell_is_noticed(out: Path) -> None:
    content = content_of(out)
    assert problems(out, content) == ""
    tried, passed = set(), set()
    for path, value in leaves(content):
        name = ".".join(map(str, path))
        tried.add(name)
        if not all(problems(out, put(content, path, changed)) for changed in changes(value)):
            passed.add(name)
    assert len(tried) > 50
    assert {name for name in passed if not name.startswith(NOWHERE_ELSE)} == set()


def swap_licenses(content: Content) -> None:
    content["licenses"][0]["samples"] -= 1
    content["licenses"][1]["samples"] += 1


def reseal(content: Content, part: str, **values: object) -> None:
    """Change options or inputs, and make their fingerprint fit."""
    content[part] |= values
    if part == "options":
        content["options_fingerprint"] = fingerprint(content["options"])
    else:
        names = ("annotations_sha256", "pictures", "masks")
        content["inputs"]["fingerprint"] = fingerprint({name: content["inputs"][name] for name in names})


FORGERIES: dict[str, tuple[str, Callable[[Content], object]]] = {
    "licenses": (
        "has other licenses than the recipes: 4 under 4, not 3, 2 under 5, not 3",
        swap_licenses,
    ),
    "a license less": ("other licenses than the recipes: 2 under 5, not 0", lambda m: m["licenses"].pop()),
    "no licenses": ("other licenses than the recipes", lambda m: m.update(licenses=[])),
    "a license more": (
        "lists a license without samples",
        lambda m: m["licenses"].append({"id": 6, "name": "", "url": "", "samples": 0}),
    ),
    "license order": ("does not list licenses by ascending id", lambda m: m["licenses"].reverse()),
    "left out with samples": (
        "leaves out images that have samples: 6",
        lambda m: m["left_out"].update({"min-area": [6]}),
    ),
    "left out twice": (
        "leaves out an image for two reasons",
        lambda m: m["left_out"].update({"min-area": [8]}),
    ),
    "unknown reason": ("for an unknown reason, 'x'", lambda m: m["left_out"].update(x=[1])),
    "left out in disorder": (
        r"does not list the images left out \(size-mismatch\) by ascending id",
        lambda m: m["left_out"].update({"size-mismatch": [4, 3]}),
    ),
    "skipped": ("records were skipped for the reason 'x'", lambda m: m.update(skipped={"x": 1})),
    "none skipped": ("says that 0 records were skipped", lambda m: m.update(skipped={"no-outline": 0})),
    "unknown note": ("an unknown note on images, 'x'", lambda m: m.update(noted={"x": [5]})),
    "noted in disorder": (
        r"images noted \('transparency'\) by ascending",
        lambda m: m.update(noted={"transparency": [6, 5]}),
    ),
    "nothing noted": ("images noted", lambda m: m.update(noted={"transparency": []})),
    "noted without samples": (
        "has notes on images that have no samples: 8",
        lambda m: m.update(noted={"transparency": [5, 8]}),
    ),
    "nothing left out": ("lacks images that its options take: 7, 8", lambda m: m.update(left_out={})),
    "more files": ("gives 11 input files, its images have", lambda m: m["inputs"].update(files=11)),
    "no files": ("gives 0 input files", lambda m: m["inputs"].update(files=0)),
    "pictures": (
        "has inputs that do not match their fingerprint",
        lambda m: m["inputs"].update(pictures="0" * 64),
    ),
    "no hash": ("whose pictures is not a SHA-256", lambda m: reseal(m, "inputs", pictures="x")),
    "no masks": ("not those of panoptic masks", lambda m: reseal(m, "inputs", masks="")),
    "instances": ("not those of instances masks", lambda m: reseal(m, "options", masks="instances")),
    "annotations": (
        "not those of panoptic masks of own",
        lambda m: m["inputs"].update(annotations="/etc/passwd"),
    ),
    "packages": ("gives '../x' as the version of 'numpy'", lambda m: m["packages"].update(numpy="../x")),
    "no package": ("lacks the version of numpy", lambda m: m["packages"].pop("numpy")),
    "variants": ("options of 3 variants per image, which some", lambda m: reseal(m, "options", variants=3)),
    "fewer variants": ("options of 1 variant per image, which", lambda m: reseal(m, "options", variants=1)),
    "split": ("not match its split and layout", lambda m: reseal(m, "options", split="other")),
    "store": ("not match its split and layout", lambda m: reseal(m, "options", store="pairs")),
    "format": ("not match its split and layout", lambda m: reseal(m, "options", format="jpeg")),
    "shards": ("lists 2 shards, its options give 1", lambda m: reseal(m, "options", shards=1)),
    "limit": ("options that allow 2 images at most", lambda m: reseal(m, "options", limit=2)),
    "options' licenses": (
        "do not choose all licenses in the shards: 4, 5",
        lambda m: reseal(m, "options", licenses=[4]),
    ),
    "images": (
        "options that do not choose some of its images: 5",
        lambda m: reseal(m, "options", images={"take": [], "leave": [5]}),
    ),
    "more images": (
        "lacks images that its options take: 77",
        lambda m: reseal(m, "options", images={"take": [5, 6, 7, 8, 9, 77], "leave": []}),
    ),
    "file of another split": (
        "not in the split's folders",
        lambda m: m["left_out_files"].update({"../x": "missing"}),
    ),
    "file without a hash": (
        "without their SHA-256",
        lambda m: m["left_out_files"].update({"own/000000000008.jpg": "x"}),
    ),
    "too many files": (
        "files of more images than it leaves out",
        lambda m: m["left_out_files"].update({f"own/{k}.jpg": "missing" for k in range(9)}),
    ),
    "shards renumbered": (
        "does not number its shards from 0 on",
        lambda m: m["shards"].reverse(),
    ),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_what_a_manifest_says_is_compared(out: Path, name: str) -> None:
    words, change = FORGERIES[name]
    content = content_of(out)
    change(content)
    found = problems(out, content)
    assert "manifest.json " in found
    assert re.search(words, found), found


def test_one_broken_recipe_is_one_problem(out: Path) -> None:
    """Its license is not counted, which is not told as another."""
    path = out / "own-000000.tar"
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"tries"', b'"tires"', 1))
    found = verify(out, samples=0).problem_lines()
    assert len(found) == 2, found
    assert "has the SHA-256" in found[0]
    assert "the recipe is malformed" in found[1]


# --- publishing ---------------------------------------------------------------------------------------


def check(folder: Path) -> None:
    check_shards(folder, Manifest.read(folder), lambda *_: None)


def test_publish_refuses_what_verify_finds_and_says_the_same(out: Path) -> None:
    content = content_of(out)
    content["inputs"]["pictures"] = "0" * 64
    claim = problems(out, content)
    with pytest.raises(ShardError, match=rf"{claim}; nothing was sent; run `mfsynth verify"):
        check(out)


def test_a_shard_without_samples_is_told_and_not_published(out: Path) -> None:
    """0.1.0 wrote such shards."""
    (out / "own-000002.tar").write_bytes(bytes(1024))
    sha256 = "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"  # of 1,024 zeros
    content = content_of(out)
    content["shards"].append({"name": "own-000002.tar", "size": 1024, "sha256": sha256, "samples": 0})
    reseal(content, "options", shards=3)
    assert problems(out, content) == ""
    assert "own-000002.tar holds no samples" in str(verify(out, samples=0))
    with pytest.raises(ShardError, match=r"own-000002.tar holds no samples, .*; nothing was sent; build the"):
        check(out)
