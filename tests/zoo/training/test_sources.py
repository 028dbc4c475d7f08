import json
import os
import pickle
import shutil
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

import mfsynth
from mfsynth.building.run import Run, build
from mfsynth.cli import main
from mfsynth.errors import MfsynthError
from mfsynth.options import BuildOptions, preset_options
from mfsynth.storage import digest
from zoo.errors import TrainingError
from zoo.training.data import Batches, Loader
from zoo.training.presets import preset
from zoo.training.scattered import Position
from zoo.training.sources import (
    LiveSource,
    Mixture,
    Reader,
    ShardSource,
    SourceSpec,
    held_out,
    open_source,
)


@pytest.fixture(scope="module")
def shards(demo, tmp_path_factory):
    """A data set of the demo split's recipes in seven shards."""
    out = tmp_path_factory.mktemp("shards") / "set"
    build(BuildOptions("demo", store="recipe", shards=7), Run(demo.folder, out, workers=1))
    return out


@pytest.fixture(scope="module")
def sources(demo, shards):
    return {"live": open_source(demo, 1), "shards": open_source(SourceSpec(str(shards)), 1)}


@pytest.fixture(params=["live", "shards"])
def source(request, sources):
    return sources[request.param]


def keys(source, epoch, reader=None):
    return [scene.key for _, scene in source.epoch(epoch, reader or Reader(), 0)]


@pytest.mark.parametrize("readers", [(1, 1), (1, 3), (2, 2), (3, 4)])
def test_readers_share_an_epoch_without_overlap(source, readers):
    """Also with more readers than shards."""
    ranks, workers = readers
    parts = [
        keys(source, 0, Reader(rank, ranks, worker, workers))
        for rank in range(ranks)
        for worker in range(workers)
    ]
    seen = Counter(key for part in parts for key in part)
    assert set(seen.values()) == {1}
    assert sorted(seen) == sorted(keys(source, 0))
    assert all(parts)


SLOW = settings(deadline=None, max_examples=12)


@SLOW
@given(ranks=st.integers(1, 5), workers=st.integers(1, 5), epoch=st.integers(0, 3))
def test_any_readers_share_the_shards_exactly(sources, ranks, workers, epoch):
    """Over any ranks x workers every sample that is not held out comes once."""
    source = sources["shards"]
    readers = [Reader(rank, ranks, worker, workers) for rank in range(ranks) for worker in range(workers)]
    seen = [key for reader in readers for key in keys(source, epoch, reader)]
    trained = [scene.key for scene in source.data if not held_out(scene.recipe.image.id)]
    assert sorted(seen) == sorted(trained)


@SLOW
@given(total=st.integers(1, 6), number=st.integers(0, 5), skip=st.integers(0, 60))
def test_any_place_is_gone_on_from(sources, total, number, skip):
    source, reader = sources["shards"], Reader(number % total, total)
    whole = [(place, scene.key) for place, scene in source.epoch(2, reader, 0)]
    rest = [(place, scene.key) for place, scene in source.epoch(2, reader, skip)]
    assert rest == [(place, key) for place, key in whole if place > skip]


def test_epochs_have_orders_of_their_own(source):
    images = [[key[:12] for key in keys(source, epoch)] for epoch in range(3)]
    assert images[0] != images[1] != images[2]
    assert sorted(images[0]) == sorted(images[1])


def test_live_epochs_bring_new_variants_and_shards_the_same(sources):
    assert {key[-3:] for key in keys(sources["live"], 2)} == {"002"}
    assert {key[-3:] for key in keys(sources["shards"], 2)} == {"000"}


def test_skipping_goes_on_where_reading_stopped(source):
    reader = Reader(0, 1, 1, 2)
    whole = [(place, scene.key) for place, scene in source.epoch(1, reader, 0)]
    rest = [(place, scene.key) for place, scene in source.epoch(1, reader, whole[4][0])]
    assert rest == whole[5:]


def test_held_out_images_are_never_trained_on(source):
    trained = {int(key[:12]) for key in keys(source, 0)}
    held = {scene.recipe.image.id for scene in source.validation()}
    assert held
    assert not trained & held
    assert all(map(held_out, held))
    assert not any(map(held_out, trained))


def test_one_image_in_twenty_is_held_out():
    assert sum(map(held_out, range(20_000))) == pytest.approx(1000, rel=0.1)


def test_shards_and_live_give_the_same_scenes(sources):
    live = {scene.key: scene for _, scene in sources["live"].epoch(0, Reader(), 0)}
    for _, scene in sources["shards"].epoch(0, Reader(), 0):
        np.testing.assert_array_equal(scene.picture, live[scene.key].picture)
        np.testing.assert_array_equal(scene.segments, live[scene.key].segments)


def test_mixture_weighs_its_sources(demo):
    sources = [LiveSource(str(demo.folder), "demo", seed) for seed in (1, 2)]
    mixture = Mixture([(sources[0], 3.0), (sources[1], 1.0)], 0, Reader())
    seeds = Counter(mixture.next(number)[1].recipe.seed for number in range(400))
    assert seeds[1] / 400 == pytest.approx(0.75, abs=0.08)


def test_mixture_goes_on_from_its_position(demo, sources):
    def mixture(position=None):
        return Mixture([(sources["live"], 1.0), (sources["shards"], 2.0)], 5, Reader(0, 1, 0, 1), position)

    whole = mixture()
    keys = [whole.next(number)[1].key for number in range(120)]  # several epochs of each
    first = mixture()
    for number in range(77):
        first.next(number)
    second = mixture(first.position)
    assert [second.next(number)[1].key for number in range(77, 120)] == keys[77:]


def test_batches_of_workers_go_on_from_where_they_were(demo):
    options = preset("hf-seg", "fast").override({"pairs": "2", "crop": "48"})
    batches = Batches([demo], options, workers=2)
    turns = [batches.of(worker) for worker in (0, 1)]
    whole = [next(turns[number % 2]) for number in range(9)]
    positions = [next(b.position for b in reversed(whole[:5]) if b.worker == worker) for worker in (0, 1)]
    later = Batches([demo], options, workers=2, begun=5, positions=positions)
    with Loader(later, workers=2) as loader:
        rest = list(islice(loader, 4))
    for before, after in zip(whole[5:], rest, strict=True):
        assert before.worker == after.worker
        assert before.position == after.position
        assert (before.frames == after.frames).all()


def test_ranks_get_different_batches(demo):
    options = preset("hf-seg", "fast").override({"pairs": "4", "crop": "48"})
    specs = [demo]
    one, other = (next(Batches(specs, options, rank=rank, ranks=2).of(0)) for rank in range(2))
    assert not (one.gt == other.gt).all()
    assert one.frames.shape == (8, 3, 48, 48)
    assert one.counts == (2, 2, 2, 2)
    assert one.position == Position(4, [[0, 4]])


def test_empty_share_is_an_error_not_a_hang(demo):
    mixture = Mixture([(LiveSource(str(demo.folder), "demo", 0), 1.0)], 0, Reader(0, 1, 99, 100))
    with pytest.raises(TrainingError, match=r"reader 100 of 100.*fewer workers"):
        mixture.next(0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("coco:nowhere", "coco:nowhere does not name a folder and a split.*coco:DIR:SPLIT"),
        ("coco::val", "coco::val does not name a folder and a split"),
        ("coco::val:realistic", "does not name a folder and a split"),
        ("coco:a::realistic", "does not name a folder and a split"),
        ("coco:{coco}:demo:realstic", "there is no preset 'realstic'.*known: paper, realistic"),
        ("coco:{colons}:realistic", "no folder .*a.*add a preset: coco:DIR:realistic:paper"),
        ("set@0", "weight"),
    ],
)
def test_bad_sources_are_refused(text, message, demo, tmp_path):
    (tmp_path / "a:b").mkdir()
    with pytest.raises(MfsynthError, match=message):
        open_source(SourceSpec.parse(text.format(coco=demo.folder, colons=tmp_path / "a:b")), 0)


@pytest.mark.parametrize(
    ("location", "folder", "shown"),
    [
        ("coco:d:val", "d", "coco:DIR:val"),
        ("coco:d:val:realistic@3", "d", "coco:DIR:val:realistic@3"),
        ("coco:d:val:paper", "d", "coco:DIR:val"),
        ("coco:a:b:val", "a:b", "coco:DIR:val"),
        ("coco:a:b:val:realistic", "a:b", "coco:DIR:val:realistic"),
        ("coco:d:realistic", "d", "coco:DIR:realistic"),
        ("coco:a:b:realistic:paper", "a:b", "coco:DIR:realistic"),
        ("sets/coco", "sets/coco", "coco"),
    ],
)
def test_sources_names_are_read_from_their_end(location, folder, shown):
    """Folders may have colons, and a split may be named like a preset."""
    spec = SourceSpec.parse(location)
    assert str(spec.folder) == folder
    assert str(spec) == shown
    assert str(SourceSpec.parse(shown.replace("DIR", "x"))) == shown


def test_preset_of_a_live_source_gives_the_recipes_of_a_build(demo, tmp_path):
    options = BuildOptions("demo", **preset_options("realistic"), store="recipe", seed=4, limit=6)
    build(options, Run(demo.folder, tmp_path / "set", workers=1))
    live = open_source(SourceSpec(f"{demo.location}:realistic"), 4)
    recipes = {scene.key: scene.recipe for _, scene in live.epoch(0, Reader(), 0)}
    built = [scene for scene in mfsynth.open(tmp_path / "set").scenes() if scene.key in recipes]
    assert len(built) >= 4
    for scene in built:
        assert scene.recipe == recipes[scene.key]
        assert scene.recipe.format == 2


def test_fingerprint_of_a_preset_says_what_it_sets(demo, sources):
    plain = sources["live"].fingerprint()
    assert plain.keys() == {"source", "options", "images", "ids"}  # as 0.1.0 wrote it
    lens = open_source(SourceSpec(f"{demo.location}:realistic"), 1).fingerprint()
    assert lens["source"] == "coco:demo:realistic"
    assert lens["options"] != plain["options"]
    assert lens["ids"] == plain["ids"]
    assert lens["settings"] == json.loads(json.dumps(preset_options("realistic")))


def test_fingerprint_of_shards_says_how_frames_of_format_2_are_made(small_recipes, small_coco, tmp_path):
    told = ShardSource(str(small_recipes), 0).fingerprint()
    assert told.keys() == {"source", "samples", "shards"}  # as 0.1.0 wrote it
    options = BuildOptions("small", kernel="disk", boundary="spread", store="recipe", limit=2)
    build(options, Run(small_coco, tmp_path / "set", workers=1))
    settings = ShardSource(str(tmp_path / "set"), 0).fingerprint()["settings"]
    assert (settings["kernel"], settings["boundary"]) == ("disk", "spread")


def test_only_recipes_of_format_2_decide_what_a_camera_adds(demo, small_recipes, sources, tmp_path):
    assert not sources["live"].captured
    assert not ShardSource(str(small_recipes), 0).captured  # noisy, of format 1
    assert open_source(SourceSpec(f"{demo.location}:realistic"), 1).captured
    clean = BuildOptions("demo", kernel="disk", store="recipe", limit=2)
    build(clean, Run(demo.folder, tmp_path / "clean", workers=1))
    assert not ShardSource(str(tmp_path / "clean"), 0).captured
    build(replace(clean, capture="camera"), Run(demo.folder, tmp_path / "camera", workers=1))
    assert ShardSource(str(tmp_path / "camera"), 0).captured


def test_source_of_shards_is_read_from_a_url(shards):
    remote = ShardSource((shards).as_uri(), 1)
    local = ShardSource(str(shards), 1)
    assert keys(remote, 0) == keys(local, 0)
    assert remote.fingerprint() == local.fingerprint()


def test_pictures_held_out_are_not_decoded(shards, tmp_path):
    """A picture that cannot be decoded does no harm where it is left out."""
    shutil.copytree(shards, tmp_path / "set")
    held = sorted({scene.key for scene in ShardSource(str(shards), 1).validation()})
    for path in (tmp_path / "set").glob("*.tar"):
        content = bytearray(path.read_bytes())
        for key in held:
            at = content.find(f"{key}.gt.".encode())
            if at >= 0:
                content[at + 512 : at + 514] = b"??"
        path.write_bytes(content)
        manifest = tmp_path / "set" / "manifest.json"
        before, after = digest(shards / path.name), digest(path)
        manifest.write_text(manifest.read_text().replace(before, after))
    source = ShardSource(str(tmp_path / "set"), 1)
    assert keys(source, 0) == keys(ShardSource(str(shards), 1), 0)
    with pytest.raises(mfsynth.ShardError, match=held[0]):
        list(source.validation())


@pytest.fixture
def website(shards, monkeypatch):
    """The shards behind a web server: its URL, and the names of those that were fetched."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    fetched = []

    class Website(SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(shards))

        def log_message(self, *_):
            if self.command == "GET" and self.path.endswith(".tar"):
                fetched.append(self.path[1:])

    with ThreadingHTTPServer(("127.0.0.1", 0), Website) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", fetched
        server.shutdown()


def test_each_shard_is_fetched_once_an_epoch(shards, website):
    url, fetched = website
    assert keys(ShardSource(url, 1), 3) == keys(ShardSource(str(shards), 1), 3)
    assert sorted(fetched) == sorted(path.name for path in shards.glob("*.tar"))


def test_with_a_cache_each_shard_is_fetched_once_by_all_workers_in_all_epochs(shards, website, tmp_path):
    url, fetched = website
    spec = pickle.loads(pickle.dumps(SourceSpec.parse(f"{url}@2", tmp_path / "cache", "1GB")))
    options = preset("hf-seg", "fast").override({"pairs": "8", "crop": "48"})
    remote, local = (Batches([each], options, workers=2) for each in (spec, SourceSpec(str(shards))))
    assert list(open_source(spec, options.seed).validation())
    for worker in range(2):
        for batch, expected in islice(zip(remote.of(worker), local.of(worker), strict=True), 6):
            assert (batch.frames == expected.frames).all()
        assert batch.position.places[0][0] > 0
    assert sorted(fetched) == sorted(path.name for path in shards.glob("*.tar"))


def test_a_cache_that_is_too_small_is_refused_before_training(website, tmp_path):
    url, _ = website
    words = ["train", "hf-seg", "--data", url, "--out", str(tmp_path / "run"), "--cpu"]
    result = CliRunner().invoke(main, [*words, "--cache", str(tmp_path / "c"), "--cache-size", "1kB"])
    assert result.exit_code == 2
    assert "a cache of 1,000 bytes cannot hold demo-0" in result.stderr
    result = CliRunner().invoke(main, [*words, "--cache", str(tmp_path / "c"), "--cache-size", "much"])
    assert (result.exit_code, "'much' is not a size" in result.stderr) == (2, True)
    assert not (tmp_path / "run").exists()


def test_reading_shards_needs_no_webdataset_and_leaves_the_environment(shards):
    code = """
import os, sys
from zoo.training.sources import Reader, ShardSource
for _ in ShardSource(sys.argv[1], 1).epoch(0, Reader(1, 2, 0, 1), 0):
    assert (os.environ["RANK"], os.environ["WORLD_SIZE"], os.environ["WORKER"]) == ("0", "4", "3")
    assert "NUM_WORKERS" not in os.environ
assert "webdataset" not in sys.modules
"""
    environment = os.environ | {"RANK": "0", "WORLD_SIZE": "4", "WORKER": "3"}
    command = [sys.executable, "-c", code, str(shards)]
    subprocess.run(command, check=True, timeout=120, env=environment)
