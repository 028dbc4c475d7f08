from __future__ import annotations

import functools
import gc
import http.server
import json
import multiprocessing
import pickle
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from conftest import STACK
from hypothesis import given, settings
from hypothesis import strategies as st

import mfsynth
from mfsynth import Sample, Scene, Window
from mfsynth.errors import OptionsError, ShardError
from mfsynth.order import share
from mfsynth.shards import access, tar
from mfsynth.shards.reader import DataSet


def same(a: Sample, b: Sample) -> bool:
    arrays = [
        (a.gt, b.gt),
        (a.focus, b.focus),
        (a.nearest, b.nearest),
        (a.certain, b.certain),
        (a.segments, b.segments),
        *zip(a.frames, b.frames, strict=True),
    ]
    equal = all(np.array_equal(x, y) for x, y in arrays)
    return equal and (a.key, a.recipe, a.window) == (b.key, b.recipe, b.window)


def all_same(first: Iterator[Sample], second: Iterator[Sample]) -> bool:
    return all(same(a, b) for a, b in zip(first, second, strict=True))


def test_every_way_gives_identical_pixels(small_coco: Path, small_pairs: Path, small_recipes: Path) -> None:
    """Pairs, recipes rendered on reading, and live synthesis; the sets have variants 0 and 1, noise on."""
    pairs = list(mfsynth.open(small_pairs))
    assert all_same(iter(pairs), iter(mfsynth.open(small_recipes)))
    for epoch in (0, 1):
        live = mfsynth.synthesize(small_coco, "small", noise=(0.0, 0.1), epoch=epoch)
        assert all_same(iter(pairs[epoch::2]), iter(live))


def test_every_way_gives_identical_stacks(
    small_coco: Path, small_stacks: Path, small_stack_recipes: Path
) -> None:
    stacks = list(mfsynth.open(small_stacks))
    assert {len(sample.frames) for sample in stacks} == {12}
    assert all_same(iter(stacks), iter(mfsynth.open(small_stack_recipes)))
    live = mfsynth.synthesize(small_coco, "small", noise=(0.0, 0.1), epoch=1, **STACK)
    assert all_same(iter(stacks[1::2]), iter(live))


@pytest.mark.parametrize("store", ["small_pairs", "small_recipes", "small_stacks"])
def test_a_window_is_the_cut(store: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(store)
    window = Window(3, 5, 13, 11)
    for whole, part in zip(mfsynth.open(folder), mfsynth.open(folder, window=window), strict=True):
        assert part.window == window
        assert part.gt.shape == (13, 11, 3)
        for cut, frame in zip(part.frames, whole.frames, strict=True):
            assert np.array_equal(cut, frame[window.slices])
        for name in ("focus", "nearest", "certain"):
            assert np.array_equal(getattr(part, name), getattr(whole, name)[window.slices])


def test_four_numbers_are_a_window(small_recipes: Path) -> None:
    expected = [sample.frames[1] for sample in mfsynth.open(small_recipes, window=Window(3, 5, 13, 11))]
    plain = (3, 5, 13, 11)
    for window in (plain, lambda _: plain):
        data = mfsynth.open(small_recipes, window=window)
        for sample, frame in zip(data, expected, strict=True):
            assert sample.window == Window(3, 5, 13, 11)
            assert np.array_equal(sample.frames[1], frame)
        assert next(iter(mfsynth.open(small_recipes).torch(window=window)))["gt"].shape == (3, 13, 11)
    scene = next(iter(mfsynth.open(small_recipes).scenes()))
    assert np.array_equal(mfsynth.render(scene, plain).frames[1], expected[0])
    assert np.array_equal(scene.focus(plain), scene.focus()[3:16, 5:16])


@pytest.mark.parametrize("window", [5, (1, 2, 3), (0, 0, 4.5, 4), "abcd"])
def test_what_is_no_window_is_refused(small_recipes: Path, window: Any) -> None:
    with pytest.raises(OptionsError, match=r"is not a window; give \(top, left, height, width\)"):
        mfsynth.open(small_recipes, window=window)
    with pytest.raises(OptionsError, match=r"is not a window"):
        next(iter(mfsynth.open(small_recipes, window=lambda _: window)))


def test_a_window_may_be_chosen_from_the_scene(small_recipes: Path) -> None:
    def on_frame_1(scene: Scene) -> Window:
        rows, columns = np.nonzero(scene.focus())
        return Window(min(int(rows[0]), scene.size[0] - 8), min(int(columns[0]), scene.size[1] - 8), 8, 8)

    for sample in mfsynth.open(small_recipes, window=on_frame_1):
        assert sample.focus.shape == (8, 8)
        assert sample.focus.any()


def test_a_window_outside_a_picture_is_refused(small_pairs: Path) -> None:
    with pytest.raises(OptionsError, match="does not lie inside a picture of height 40 and width 56"):
        next(iter(mfsynth.open(small_pairs, window=Window(0, 0, 41, 10))))


def test_scenes_are_not_rendered(small_pairs: Path) -> None:
    scene = next(iter(mfsynth.open(small_pairs).scenes()))
    assert isinstance(scene, Scene)
    sample = next(iter(mfsynth.open(small_pairs)))
    assert same(mfsynth.render(scene), sample)


def test_render_false_gives_scenes(small_coco: Path, small_pairs: Path) -> None:
    for whole, scenes in (
        (mfsynth.open(small_pairs), mfsynth.open(small_pairs, render=False)),
        (mfsynth.synthesize(small_coco, "small"), mfsynth.synthesize(small_coco, "small", render=False)),
    ):
        pairs = list(zip(whole, scenes, strict=True))
        assert all(isinstance(scene, Scene) and scene.recipe == sample.recipe for sample, scene in pairs)
    assert isinstance(mfsynth.open(small_pairs, render=False)[0], Scene)


def test_order_is_the_manifests_or_shuffled_by_seed_and_epoch(small_pairs: Path) -> None:
    def keys(**options: int) -> list[str]:
        return [scene.key for scene in mfsynth.open(small_pairs, **options).scenes()]

    plain = keys()
    assert plain == sorted(plain)
    assert len(plain) == len(mfsynth.open(small_pairs)) == 18
    shuffled = keys(shuffle=1)
    assert shuffled != plain
    assert sorted(shuffled) == plain
    assert keys(shuffle=1) == shuffled
    assert keys(shuffle=1, epoch=1) != shuffled
    assert keys(shuffle=2) != shuffled
    assert [s.key for s in mfsynth.open(small_pairs, shuffle=1).scenes().at(1)] == keys(shuffle=1, epoch=1)


@settings(deadline=None, max_examples=40)
@given(readers=st.integers(1, 25), shuffle=st.sampled_from([None, 7]))
def test_readers_share_an_epoch_without_gap_or_overlap(
    small_recipes: Path, readers: int, shuffle: int | None
) -> None:
    data = mfsynth.open(small_recipes, shuffle=shuffle).scenes()
    shares = [[s.key for s in data.read(*share(len(data), reader, readers))] for reader in range(readers)]
    assert [key for part in shares for key in part] == [scene.key for scene in data]
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize("store", ["small_pairs", "small_recipes"])
def test_a_sample_is_read_by_place_or_key(store: str, request: pytest.FixtureRequest) -> None:
    """In the manifest's order, whatever the order, epoch and selection of the stream."""
    folder = request.getfixturevalue(store)
    expected = list(mfsynth.open(folder))
    data = mfsynth.open(folder, shuffle=3, epoch=2).select(lambda image: image.id > 20)
    for place in (17, 0, 6, 5, np.int64(11)):
        assert same(data[place], expected[place])
        assert same(data[place - 18], expected[place])
    for sample in expected[::-1]:
        assert same(data[sample.key], sample)


def test_what_is_read_by_place_follows_window_and_scenes(small_recipes: Path) -> None:
    data = mfsynth.open(small_recipes, window=Window(3, 5, 13, 11))
    assert same(data[4], list(data)[4])
    assert data[4].focus.shape == (13, 11)
    scene = data.scenes()[4]
    assert isinstance(scene, Scene)
    assert scene.key == data[4].key


@pytest.mark.parametrize("place", [18, -19, 10**30])
def test_a_place_beyond_the_end_is_an_index_error(small_pairs: Path, place: int) -> None:
    with pytest.raises(IndexError, match=f"set has no sample at place {place}; its number of samples is 18"):
        mfsynth.open(small_pairs)[place]


@pytest.mark.parametrize(
    "key", ["000000000000-000", "000000000003-002", "000000000044-000", "999999999999-000", "139", ""]
)
def test_a_key_that_is_not_there_is_a_key_error(small_pairs: Path, key: str) -> None:
    with pytest.raises(KeyError) as caught:
        mfsynth.open(small_pairs)[key]
    assert isinstance(caught.value, OptionsError)
    message = f"{small_pairs} has no sample {key!r}; keys look like '000000000139-000'"
    assert str(caught.value) == message


@pytest.mark.parametrize("which", [1.0, slice(3), None, b"000000000003-000"])
def test_what_is_neither_place_nor_key_is_refused(small_pairs: Path, which: Any) -> None:
    with pytest.raises(OptionsError, match="is neither the place nor the key of a sample"):
        mfsynth.open(small_pairs)[which]


def test_shards_without_samples_are_no_places(small_pairs: Path, tmp_path: Path) -> None:
    shutil.copytree(small_pairs, tmp_path / "set")
    manifest = json.loads((small_pairs / "manifest.json").read_text())
    for number, at in enumerate((0, 2, 2, 6), 7):
        name = f"small-{number:06d}.tar"
        (tmp_path / "set" / name).write_bytes(bytes(1024))
        manifest["shards"].insert(at, {"name": name, "size": 1024, "sha256": "00" * 32, "samples": 0})
    (tmp_path / "set" / "manifest.json").write_text(json.dumps(manifest))
    data = mfsynth.open(tmp_path / "set").scenes()
    keys = [scene.key for scene in data]
    assert len(keys) == 18
    assert [data[place].key for place in range(18)] == keys
    assert [data[key].key for key in keys] == keys


def test_a_data_set_is_pickled_without_what_it_has_open(small_pairs: Path) -> None:
    data = mfsynth.open(small_pairs)
    size = len(pickle.dumps(data))
    sample = data[7]
    assert len(pickle.dumps(data)) == size
    assert same(pickle.loads(pickle.dumps(data))[7], sample)


@pytest.mark.parametrize("kept", [2, 32])
def test_threads_and_forked_processes_share_what_is_open(
    small_recipes: Path, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    """Each reads with a position of its own."""
    monkeypatch.setattr(access, "OPEN_SHARDS", kept)
    data = mfsynth.open(small_recipes).scenes()
    keys = [scene.key for scene in data]
    places = np.random.default_rng(0).integers(18, size=300).tolist()
    assert [data[place].key for place in range(18)] == keys
    with ThreadPoolExecutor(6) as threads:
        assert list(threads.map(lambda place: data[place].key, places)) == [keys[p] for p in places]
    readers = [multiprocessing.get_context("fork").Process(target=check, args=(data, keys)) for _ in range(3)]
    for reader in readers:
        reader.start()
    check(data, keys)
    for reader in readers:
        reader.join(60)
    assert [reader.exitcode for reader in readers] == [0, 0, 0]


def check(data: DataSet[Scene], keys: list[str]) -> None:
    for _ in range(20):
        assert [data[place].key for place in range(18)] == keys


def open_files() -> int:
    return len(list(Path("/dev/fd").iterdir()))


def test_few_shards_stay_open_and_none_of_a_data_set_that_is_gone(
    small_pairs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "OPEN_SHARDS", 2)
    data = mfsynth.open(small_pairs).scenes()
    gc.collect()
    before = open_files()
    keys = [data[place].key for place in (0, 6, 12, 1, 7, 13, 17, 5)]
    assert open_files() - before == 2
    assert keys == [list(data)[place].key for place in (0, 6, 12, 1, 7, 13, 17, 5)]
    del data
    gc.collect()
    assert open_files() == before


def test_a_selection_is_decided_by_recipes(small_recipes: Path, tmp_path: Path) -> None:
    """No picture of an image that is left out is decoded."""
    shutil.copytree(small_recipes, tmp_path / "set")
    for path in (tmp_path / "set").glob("*.tar"):
        content = bytearray(path.read_bytes())
        with path.open("rb") as file:
            places = tar.index(file, path.name, len(content))
        for place in (place for place in places if place.key.startswith("000000000043")):
            at = content.index(b"\xff\xd8", place.start)
            content[at : at + 2] = b"\0\0"
        path.write_bytes(content)
    whole = mfsynth.open(tmp_path / "set", shuffle=2, check=False)
    with pytest.raises(ShardError, match="sample 000000000043-00"):
        list(whole)
    rest = whole.select(lambda image: image.id != 43)
    expected = [scene for scene in mfsynth.open(small_recipes, shuffle=2) if scene.recipe.image.id != 43]
    assert all_same(iter(rest), iter(expected))
    assert len(expected) == 16
    assert len(rest) == 18


@settings(deadline=None, max_examples=40)
@given(readers=st.integers(1, 25), ids=st.sets(st.sampled_from(range(3, 93, 10))), epoch=st.integers(0, 3))
def test_readers_share_a_selection(small_recipes: Path, readers: int, ids: set[int], epoch: int) -> None:
    whole = mfsynth.open(small_recipes, shuffle=5, epoch=epoch).scenes()
    some = whole.select(lambda image: image.id in ids).select(lambda image: image.id != 43)
    ids = ids - {43}
    parts = [some.numbered(*share(len(some), reader, readers)) for reader in range(readers)]
    seen = [(place, scene.key) for part in parts for place, scene in part]
    assert seen == [(n, scene.key) for n, scene in enumerate(whole) if scene.recipe.image.id in ids]


def test_recipes_come_without_pictures(small_pairs: Path) -> None:
    data = mfsynth.open(small_pairs, shuffle=1)
    assert list(data.recipes()) == [sample.recipe for sample in mfsynth.open(small_pairs)]


def test_samples_and_scenes_are_shown_in_a_line(small_pairs: Path) -> None:
    sample = mfsynth.open(small_pairs)[0]
    blur = json.loads(sample.recipe.to_json())["blur"]
    assert blur["kernel"] == "gaussian"
    tail = f"2 frames, gaussian blur of sigma {blur['sigma']:.2f}>"
    assert repr(sample) == f"<mfsynth sample 000000000003-000: height 40, width 56, {tail}"
    scene = mfsynth.open(small_pairs).scenes()[0]
    assert repr(scene) == f"<mfsynth scene 000000000003-000: height 40, width 56, {tail}"
    part = mfsynth.render(scene, Window(0, 0, 8, 9))
    assert repr(part) == f"<mfsynth sample 000000000003-000: height 8, width 9, {tail}"


@pytest.fixture
def website(small_pairs: Path) -> Iterator[str]:
    """The data set behind a web server on this machine."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(small_pairs))
    handler.log_message = lambda *_: None  # type: ignore[attr-defined]
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("shuffle", [None, 3])
def test_urls_are_read_like_folders(small_pairs: Path, website: str, shuffle: int | None) -> None:
    memory = fsspec.filesystem("memory")
    memory.put(f"{small_pairs}/", "/a set/", recursive=True)
    local = list(mfsynth.open(small_pairs, shuffle=shuffle))
    assert all_same(iter(local), iter(mfsynth.open("memory://a set", shuffle=shuffle)))
    assert all_same(iter(local), iter(mfsynth.open(website, shuffle=shuffle)))
    assert all_same(iter(local), iter(mfsynth.open(f"{website}/manifest.json", shuffle=shuffle)))


def test_samples_at_a_url_are_read_by_place_and_key(
    small_pairs: Path, website: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through a copy that leaves nothing in the folder for temporary files, not even while it is open."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    expected = list(mfsynth.open(small_pairs))
    data = mfsynth.open(website)
    for place in (0, 17, -7, 3):
        assert same(data[place], expected[place])
    for sample in expected[::4]:
        assert same(data[sample.key], sample)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(KeyError):
        data["000000000004-000"]


def test_a_shards_bytes_are_read_from_anywhere(small_pairs: Path, website: str) -> None:
    fsspec.filesystem("memory").put(f"{small_pairs}/", "/bytes/", recursive=True)
    for location in (small_pairs, website, "memory://bytes"):
        data = mfsynth.open(location)
        for number, shard in enumerate(data.manifest.shards):
            with data.open_shard(number) as file:
                assert file.read() == (small_pairs / shard.name).read_bytes()


def test_a_shard_that_is_not_there_cannot_be_opened(small_pairs: Path, tmp_path: Path) -> None:
    shutil.copy(small_pairs / "manifest.json", tmp_path)
    with (
        pytest.raises(ShardError, match=r"small-000002\.tar is not there"),
        mfsynth.open(tmp_path).open_shard(2),
    ):
        pass


def test_a_manifest_stands_for_its_folder_whatever_it_is_called(
    small_pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "set.json"  # a folder may be called so, too
    shutil.copytree(small_pairs, folder)
    (folder / "manifest.json").rename(folder / "mymanifest.json")
    memory = fsspec.filesystem("memory")
    memory.put(f"{folder}/", "/", recursive=True)
    monkeypatch.chdir(folder)
    local = [scene.key for scene in mfsynth.open(small_pairs).scenes()]
    for location in (folder / "mymanifest.json", "mymanifest.json", "memory://mymanifest.json"):
        assert [scene.key for scene in mfsynth.open(location).scenes()] == local
    (folder / "mymanifest.json").rename(folder / "manifest.json")
    for location in (folder, f"{folder}/", ".", f"{folder}/manifest.json"):
        assert [scene.key for scene in mfsynth.open(location).scenes()] == local


def test_what_is_not_there_is_named(small_pairs: Path, tmp_path: Path, website: str) -> None:
    with pytest.raises(ShardError, match=r"nowhere/manifest.json is not there"):
        mfsynth.open(tmp_path / "nowhere")
    with pytest.raises(ShardError, match=r"none/manifest.json is not there"):
        mfsynth.open(f"{website}/none")
    with pytest.raises(ShardError, match="nothing is known of gopher:// URLs"):
        mfsynth.open("gopher://x/y")
    shutil.copytree(small_pairs, tmp_path / "set")
    (tmp_path / "set" / "small-000001.tar").unlink()
    for shuffle in (None, 1):
        with pytest.raises(ShardError, match=r"small-000001.tar is not there"):
            list(mfsynth.open(tmp_path / "set", shuffle=shuffle))
    with pytest.raises(ShardError, match=r"small-000001.tar is not there"):
        mfsynth.open(tmp_path / "set")[8]


@pytest.mark.parametrize("shuffle", [None, 1])
def test_a_damaged_shard_is_named_with_its_sample(
    small_pairs: Path, tmp_path: Path, shuffle: int | None
) -> None:
    shutil.copytree(small_pairs, tmp_path / "set")
    path = tmp_path / "set" / "small-000000.tar"
    data = bytearray(path.read_bytes())
    at = data.index(b"000000000003-001.frame0.png")
    data[at + 700] ^= 1
    path.write_bytes(data)
    with pytest.raises(
        ShardError, match=r"small-000000.tar: sample 000000000003-001: .*run `mfsynth verify`"
    ):
        list(mfsynth.open(tmp_path / "set", shuffle=shuffle, check=False))


def test_a_shard_of_another_data_set_is_noticed(small_pairs: Path, tmp_path: Path) -> None:
    shutil.copytree(small_pairs, tmp_path / "set")
    shutil.copy(tmp_path / "set" / "small-000001.tar", tmp_path / "set" / "small-000000.tar")
    with pytest.raises(ShardError, match=r"small-000000.tar (is cut short|has \d+ bytes)"):
        list(mfsynth.open(tmp_path / "set", check=False))
    shutil.copy(small_pairs / "small-000000.tar", tmp_path / "set")
    (tmp_path / "set" / "small-000001.tar").write_bytes(bytes(1024))
    with pytest.raises(ShardError, match=r"small-000001.tar holds 0 samples, the manifest says 6"):
        list(mfsynth.open(tmp_path / "set", check=False))
