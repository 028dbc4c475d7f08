"""The arithmetic that a training chooses by itself, and keeps."""

import json
import os
import signal
from pathlib import Path

import pytest
import torch

from mfsynth.coco.demo import draw_demo
from zoo.training.loop import train
from zoo.training.precision import suitable
from zoo.training.presets import preset
from zoo.training.run import TrainRun
from zoo.training.sources import SourceSpec

CPUINFO = Path("/proc/cpuinfo")
TINY = {
    "model.width": "4", "model.depth": "2", "crop": "16", "pairs": "1", "steps": "12",
    "validate_every": "100",
}  # fmt: skip


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    root = tmp_path_factory.mktemp("demo-split")
    draw_demo(root)
    return root


def trained(demo, out, resume=False, stop=False, **settings):
    """The arithmetic that training.json names."""
    options = preset("hf-seg", "fast").override(TINY | settings)
    interrupt = {"progress": lambda *_: os.kill(os.getpid(), signal.SIGINT)} if stop else {}
    train(
        options,
        TrainRun((SourceSpec(f"coco:{demo}:demo"),), out, workers=0, cpu=True, resume=resume, **interrupt),
    )
    document = out / "checkpoints" / "training.json" if stop else out / "training.json"
    return json.loads(document.read_text())["options"]["precision"]


def test_training_says_which_arithmetic_it_chose(demo, tmp_path):
    assert preset("hf-seg", "fast").precision == "auto"
    assert trained(demo, tmp_path / "out") == suitable(cpu=True)


@pytest.mark.skipif(not CPUINFO.exists(), reason="needs Linux's list of what the processor has")
def test_a_processor_computes_bf16_where_linux_lists_it():
    with CPUINFO.open() as file:
        flags = {word for line in file if line.startswith(("flags", "Features")) for word in line.split()}
    expected = "bf16" if flags & {"avx512_bf16", "amx_bf16", "bf16"} else "fp32"
    if not hasattr(torch.cpu, "get_capabilities"):
        expected = "fp32"
    assert suitable(cpu=True) == expected


@pytest.mark.parametrize("begun", ["fp32", "bf16"])
def test_a_training_goes_on_in_the_arithmetic_that_it_began_with(begun, demo, tmp_path):
    """As it does when it moves to another machine."""
    assert trained(demo, tmp_path / "out", stop=True, precision=begun) == begun
    assert trained(demo, tmp_path / "out", resume=True) == begun
