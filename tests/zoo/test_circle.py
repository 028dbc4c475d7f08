"""The full circle: shards, a short training, the Hub, and the same pixels again."""

import json

from hub.fixtures import SNIPPET_START

CODE = """
import shutil
import zoo
from zoo.publishing.example import known_pair

frames = known_pair().frames
before = zoo.load("trained").fuse(frames)
report = zoo.push("trained", "ann/circle", license="cc-by-4.0")
shutil.rmtree("trained")
after = zoo.load("ann/circle", revision=report.commit).fuse(frames)
tell([(before.image == after.image).all().item(), (before.decision == after.decision).all().item()])
"""


def test_trained_network_comes_back_from_the_hub_and_makes_the_same_pixels(hub, cli, warm, hub_env, tmp_path):
    def mfsynth(*words):
        done = cli(*words, env=hub_env(), cwd=tmp_path)
        assert done.returncode == 0, done.stderr

    mfsynth("build", "--split", "demo", "--limit", "6", "--shards", "2", "--out", "shards")
    small = ["--set", "model.width=4", "--set", "model.depth=2", "--set", "crop=64", "--set", "pairs=2"]
    mfsynth("train", "hf-seg", "--data", "shards", "--validation", "shards", *small, "--steps", "4",
            "--workers", "0", "--out", "trained")  # fmt: skip
    done = warm.run(code=SNIPPET_START + CODE, env=hub_env(), cwd=tmp_path)
    assert json.loads(done.stdout.splitlines()[-1]) == [True, True], done.stderr
    assert "model.safetensors" in hub.repo("ann/circle").files()
