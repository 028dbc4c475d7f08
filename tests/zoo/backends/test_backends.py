"""Networks by other means than torch: the same pictures, and no torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec

import cv2
import numpy as np
import pytest
import tifffile
import torch

import zoo
from mfsynth.errors import OptionsError
from zoo.errors import WeightsError
from zoo.loading import BackendChoice
from zoo.networks import Config
from zoo.pretrained import FusionModel
from zoo.stacks.options import FuseOptions

pytest.importorskip("onnx")

RUNTIMES = ["onnxruntime", "openvino"]
KINDS = {
    "set": Config(task="seg", architecture="focus-set", width=4, depth=2, upsampling="bilinear"),
    "seg": Config(task="seg", width=4, depth=2),
    "reg": Config(task="reg", width=4, depth=2, residual=True),
}


ONE_KIND = pytest.mark.parametrize("folder", ["set"], indirect=True)


@pytest.fixture(scope="module", params=KINDS)
def folder(request, tmp_path_factory):
    torch.manual_seed(3)
    path = tmp_path_factory.mktemp(request.param)
    FusionModel(KINDS[request.param]).eval().save_pretrained(path)
    return path


def frames(count: int, shape=(45, 61, 3)) -> list[np.ndarray]:
    """A texture, each frame with noise of its own."""
    rng = np.random.default_rng(0)
    texture = rng.integers(20, 236, shape)
    return [(texture + rng.integers(-20, 20, shape)).astype(np.uint8) for _ in range(count)]


def alike(one, other) -> None:
    """Up to rounding: where scores nearly tie, few pixels may go to another frame."""
    assert one.image.dtype == other.image.dtype
    assert (np.abs(one.image.astype(int) - other.image) <= 1).mean() > 0.999
    if one.decision is not None:
        assert (one.decision == other.decision).mean() > 0.999


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_runtime_fuses_as_torch_does(folder, runtime) -> None:
    pytest.importorskip(runtime)
    model, other = zoo.load(folder, device="cpu"), zoo.load(folder, backend=runtime)
    for taken in (frames(2), frames(4), frames(3, (33, 40))):
        alike(model.fuse(taken), other.fuse(taken))
        alike(*(each.fuse(taken, burst="fold", symmetric=False) for each in (model, other)))
    wide = frames(2, (40, 150, 3))
    alike(model.fuse(wide, tile=64), other.fuse(wide, tile=64))
    options = FuseOptions(
        raw_decision=model.config.task == "seg"
    )  # what spreads around is not near, where scores are noise
    alike(*(each.fuse_stack(frames(3), options) for each in (model, other)))


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_any_order_gives_the_same_picture_bit_for_bit(folder, runtime) -> None:
    pytest.importorskip(runtime)
    model = zoo.load(folder, backend=runtime)
    for count in (2, 3):
        taken = frames(count)
        np.testing.assert_array_equal(model.fuse(taken).image, model.fuse(taken[::-1]).image)


def test_openvino_computes_in_bfloat16_where_the_cpu_does_and_only_if_asked(folder) -> None:
    openvino = pytest.importorskip("openvino")
    if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        with pytest.raises(OptionsError, match="no arithmetic in bf16"):
            zoo.load(folder, backend="openvino", dtype="bf16")
        return
    exact, half = (zoo.load(folder, backend="openvino", dtype=each) for each in (None, "bf16"))
    assert (exact.precision, half.precision) == ("fp32", "bf16")
    taken = frames(2)
    one, other = (each.fuse(taken, rule=None).image.astype(int) for each in (exact, half))
    assert 0 < np.abs(one - other).mean() < 3
    np.testing.assert_array_equal(other, half.fuse(taken[::-1]).image)
    assert half.fuse_stack(taken).precision == "bf16"


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_several_threads_may_fuse_at_once(folder, runtime) -> None:
    pytest.importorskip(runtime)
    model, stacks = zoo.load(folder, backend=runtime), [frames(2, (side, side, 3)) for side in (60, 80, 100)]
    expected = [model.fuse(taken).image for taken in stacks]
    with ThreadPoolExecutor(3) as pool:
        found = pool.map(lambda number: model.fuse(stacks[number % 3]).image, range(18))
    for number, image in enumerate(found):
        np.testing.assert_array_equal(image, expected[number % 3])


NO_MEMORY = """
import resource, sys
import numpy as np
from onnx import TensorProto, helper
from zoo.backends.session import opened

free = ["n", "n"]
x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, free) for name in "xy")
graph = helper.make_graph([helper.make_node("MatMul", ["x", "x"], ["y"])], "square", [x], [y])
opset = helper.make_opsetid("", 23)
model = helper.make_model(graph, ir_version=11, opset_imports=[opset])
session = opened(sys.argv[1], model.SerializeToString())
large = np.ones((4000, 4000), np.float32)
used = int(open("/proc/self/statm").read().split()[5]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_DATA, (used + (16 << 20),) * 2)
try:
    session({"x": large})
except MemoryError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not limit memory so")
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_lack_of_memory_is_told_as_such(runtime) -> None:
    pytest.importorskip(runtime)
    words = [sys.executable, "-c", NO_MEMORY, runtime]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.stdout == f"{runtime} gets no more\n", done.stderr


LET_GO_ELSEWHERE = """
import signal, sys, threading
import numpy as np, zoo
kept = [zoo.load(sys.argv[1], backend=sys.argv[2])]
kept[0].fuse([np.zeros((16, 16), np.uint8)] * 2)
thread = threading.Thread(target=kept.clear)
thread.start(), thread.join()
signal.signal(signal.SIGINT, lambda *_: print("still here"))
signal.raise_signal(signal.SIGINT)
"""


@ONE_KIND
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_signal_is_harmless_after_another_thread_let_go_of_a_network(folder, runtime) -> None:
    pytest.importorskip(runtime)
    command = [sys.executable, "-c", LET_GO_ELSEWHERE, str(folder), runtime]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "still here\n"), done.stderr


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_torch_is_not_imported_and_nothing_is_left(folder, runtime, tmp_path) -> None:
    pytest.importorskip(runtime)
    code = (
        "import sys; sys.modules['torch'] = None\n"  # importing it fails
        "import numpy as np, zoo\n"
        "model = zoo.load(sys.argv[1], backend=sys.argv[2])\n"
        "frame = np.random.default_rng(0).integers(0, 256, (40, 48, 3), np.uint8)\n"
        "frames = [frame, frame, frame]\n"
        "print(model.fuse(frames).image.shape, model.fuse_stack(frames).image.shape)"
    )
    words, env = [sys.executable, "-c", code, str(folder), runtime], os.environ | {"TMPDIR": str(tmp_path)}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=env)
    assert done.stdout == "(40, 48, 3) (40, 48, 3)\n", done.stderr
    assert not any(tmp_path.iterdir())


@ONE_KIND
def test_the_command_takes_the_fastest_that_is_installed_and_says_which(folder, cli, tmp_path) -> None:
    paths = [tmp_path / f"{number}.png" for number in range(2)]
    for path, frame in zip(paths, frames(2), strict=True):
        cv2.imwrite(str(path), frame)
    done = cli("fuse", *paths, "-o", tmp_path / "out.png", "--model", folder, "--device", "cpu")
    assert done.returncode == 0, done.stderr
    found = [each for each in ("onnxruntime", "openvino", "torch") if find_spec(each)]
    assert f"computed by {found[0]}" in done.stderr
    done = cli("fuse", *paths, "-o", tmp_path / "out.png", "--model", folder, "--backend", "torch")
    assert "computed by torch" in done.stderr


def test_each_stack_gets_its_backend_by_the_frames_that_its_files_hold(folder, cli, tmp_path) -> None:
    """torch takes long stacks of a network for sets: its memory does not grow with them."""
    (tmp_path / "stacks").mkdir()
    texture = frames(1, (40, 40, 3))[0]
    for name, pages in (("a", 3), ("b", 13), ("c", 13)):
        tifffile.imwrite(tmp_path / "stacks" / f"{name}.tif", np.stack([texture] * pages), photometric="rgb")
    words = ["--batch", tmp_path / "stacks", "-o", tmp_path / "out", "--model", folder, "--device", "cpu"]
    done = cli("fuse", *words, "--json")
    assert done.returncode == 0, done.stderr
    few = next(each for each in ("onnxruntime", "openvino", "torch") if find_spec(each))
    many = "torch" if zoo.load(folder, device="cpu").config.sets else few
    told = json.loads(done.stdout)["fused"]
    assert [(each["backend"], each["precision"]) for each in told] == [
        (few, "fp32"), (many, "fp32"), (many, "fp32"),
    ]  # fmt: skip
    said: list[str] = []
    choice = BackendChoice(folder, device="cpu", say=said.append)
    for count in (3, 13, 14, 2):
        choice.suited(count)
    backends = dict.fromkeys((few, many))
    assert [line.split(",")[0] for line in said] == [f"computed by {each}" for each in backends]


def test_what_cannot_be_is_refused(folder, tmp_path) -> None:
    with pytest.raises(OptionsError, match="backend is 'tensorflow'"):
        zoo.load(folder, backend="tensorflow")
    pytest.importorskip("onnxruntime")
    with pytest.raises(OptionsError, match="runs on the CPU"):
        zoo.load(folder, backend="onnxruntime", device="cuda")
    with pytest.raises(OptionsError, match="onnxruntime does not compute in bf16"):
        zoo.load(folder, backend="onnxruntime", dtype="bf16")
    with pytest.raises(OptionsError, match="dtype is 'fp12'"):
        zoo.load(folder, backend="torch", dtype="fp12")
    FusionModel(Config(task="seg", width=3, depth=1)).save_pretrained(tmp_path)
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    with pytest.raises(WeightsError, match="do not fit"):
        zoo.load(tmp_path, backend="onnxruntime")
