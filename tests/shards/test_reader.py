from __future__ import annotations

import functools
import http.server
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mfsynth
from mfsynth import Sample, Scene, Window
from mfsynth.errors import OptionsError, ShardError
from mfsynth.order import share


def same(a: Sample, b: Sample) -> bool:
    arrays = [
        (a.gt, b.gt),
        (a.focus, b.focus),
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


@pytest.mark.parametrize("store", ["small_pairs", "small_recipes"])
def test_a_window_is_the_cut(store: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(store)
    window = Window(3, 5, 13, 11)
    for whole, part in zip(mfsynth.open(folder), mfsynth.open(folder, window=window), strict=True):
        assert part.window == window
        assert part.gt.shape == (13, 11, 3)
        for cut, frame in zip(part.frames, whole.frames, strict=True):
            assert np.array_equal(cut, frame[window.slices])
        assert np.array_equal(part.focus, whole.focus[window.slices])


def test_four_numbers_are_a_window(small_recipes: Path) -> None:
    expected = [sample.frames[1] for sample in mfsynth.open(small_recipes, window=Window(3, 5, 13, 11))]
    plain = (3, 5, 13, 11)
    for window in (plain, lambda _: plain):
        data = mfsynth.open(small_recipes, window=window)
        for sample, frame in zip(data, expected, strict=True):
            assert sample.window == Window(3, 5, 13, 11)
            assert np.array_equal(sample.frames[1], frame)
        assert next(iter(mfsynth.open(small_recipes).torch(window=window)))["gt"].shape == (3, 13, 11)
    scene = next(iter(mfsynth.open(small_recipes, render=False)))
    assert np.array_equal(mfsynth.render(scene, plain).frames[1], expected[0])
    assert np.array_equal(scene.focus(plain), scene.focus()[3:16, 5:16])


@pytest.mark.parametrize("window", [5, (1, 2, 3), (0, 0, 4.5, 4), "abcd"])
def test_what_is_no_window_is_refused(small_recipes: Path, window: Any) -> None:
    with pytest.raises(OptionsError, match=r"is no window; give \(top, left, height, width\)"):
        mfsynth.open(small_recipes, window=window)
    with pytest.raises(OptionsError, match="is no window"):
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
    scene = next(iter(mfsynth.open(small_pairs, render=False)))
    assert isinstance(scene, Scene)
    sample = next(iter(mfsynth.open(small_pairs)))
    assert same(mfsynth.render(scene), sample)


def test_order_is_the_manifests_or_shuffled_by_seed_and_epoch(small_pairs: Path) -> None:
    def keys(**options: int) -> list[str]:
        return [scene.key for scene in mfsynth.open(small_pairs, render=False, **options)]

    plain = keys()
    assert plain == sorted(plain)
    assert len(plain) == len(mfsynth.open(small_pairs)) == 18
    shuffled = keys(shuffle=1)
    assert shuffled != plain
    assert sorted(shuffled) == plain
    assert keys(shuffle=1) == shuffled
    assert keys(shuffle=1, epoch=1) != shuffled
    assert keys(shuffle=2) != shuffled
    assert [s.key for s in mfsynth.open(small_pairs, render=False, shuffle=1).at(1)] == keys(
        shuffle=1, epoch=1
    )


@settings(deadline=None, max_examples=40)
@given(readers=st.integers(1, 25), shuffle=st.sampled_from([None, 7]))
def test_readers_share_an_epoch_without_gap_or_overlap(
    small_recipes: Path, readers: int, shuffle: int | None
) -> None:
    data = mfsynth.open(small_recipes, render=False, shuffle=shuffle)
    shares = [[s.key for s in data.read(*share(len(data), reader, readers))] for reader in range(readers)]
    assert [key for part in shares for key in part] == [scene.key for scene in data]
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


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
    local = [scene.key for scene in mfsynth.open(small_pairs, render=False)]
    for location in (folder / "mymanifest.json", "mymanifest.json", "memory://mymanifest.json"):
        assert [scene.key for scene in mfsynth.open(location, render=False)] == local
    (folder / "mymanifest.json").rename(folder / "manifest.json")
    for location in (folder, f"{folder}/", ".", f"{folder}/manifest.json"):
        assert [scene.key for scene in mfsynth.open(location, render=False)] == local


def test_what_is_not_there_is_named(small_pairs: Path, tmp_path: Path, website: str) -> None:
    with pytest.raises(ShardError, match=r"nowhere/manifest.json is not there"):
        mfsynth.open(tmp_path / "nowhere")
    with pytest.raises(ShardError, match=r"none/manifest.json is not there"):
        mfsynth.open(f"{website}/none")
    with pytest.raises(ShardError, match="Protocol not known: gopher"):
        mfsynth.open("gopher://x/y")
    shutil.copytree(small_pairs, tmp_path / "set")
    (tmp_path / "set" / "small-000001.tar").unlink()
    with pytest.raises(ShardError, match=r"small-000001.tar is not there"):
        list(mfsynth.open(tmp_path / "set"))


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
        list(mfsynth.open(tmp_path / "set", shuffle=shuffle))


def test_a_shard_of_another_data_set_is_noticed(small_pairs: Path, tmp_path: Path) -> None:
    shutil.copytree(small_pairs, tmp_path / "set")
    shutil.copy(tmp_path / "set" / "small-000001.tar", tmp_path / "set" / "small-000000.tar")
    with (tmp_path / "set" / "small-000001.tar").open("r+b") as file:
        file.truncate(0)
        file.write(bytes(1024))
    with pytest.raises(ShardError, match=r"small-000001.tar holds 0 samples, the manifest says 6"):
        list(mfsynth.open(tmp_path / "set"))
