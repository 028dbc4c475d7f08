"""The full circle: shards, a short training, the Hub, and the same pixels again."""

import subprocess
import sys

CODE = """
import shutil
import zoo
from zoo.publishing.example import known_pair

frames = known_pair().frames
before = zoo.load("trained").fuse(frames)
report = zoo.push("trained", "ann/circle")
shutil.rmtree("trained")
after = zoo.load("ann/circle", revision=report.commit).fuse(frames)
tell([(before.image == after.image).all().item(), (before.decision == after.decision).all().item()])
"""


def test_trained_network_comes_back_from_the_hub_and_makes_the_same_pixels(hub, client, hub_env, tmp_path):
    def mfsynth(*words):
        command = [sys.executable, "-m", "mfsynth.cli", *words]
        subprocess.run(command, env=hub_env(), cwd=tmp_path, check=True, capture_output=True)

    mfsynth("build", "--split", "demo", "--limit", "6", "--shards", "2", "--out", "shards")
    small = ["--set", "model.width=4", "--set", "model.depth=2", "--set", "crop=64", "--set", "pairs=2"]
    mfsynth("train", "hf-seg", "--data", "shards", "--validation", "shards", *small, "--steps", "4",
            "--out", "trained")  # fmt: skip
    assert client(CODE) == [True, True]
    assert "model.safetensors" in hub.repo("ann/circle").files()
