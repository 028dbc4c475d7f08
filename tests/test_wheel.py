"""The wheel in empty environments, away from the checkout."""

import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow


def run(*command, folder, code=0):
    done = subprocess.run([*map(str, command)], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, ROOT, folder=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture
def installed(wheel, tmp_path):
    """A function that installs the wheel with extras, and gives the environment's programs."""

    def install(extras):
        venv.create(tmp_path / "venv", with_pip=True)
        programs = tmp_path / "venv" / "bin"
        constraints = ROOT / "constraints.txt"
        run(programs / "pip", "install", "--quiet", "-c", constraints, f"{wheel}{extras}", folder=tmp_path)
        return programs

    return install


def test_base_install_builds_without_torch_and_names_the_extra(installed, tmp_path):
    programs = installed("")
    assert "mfsynth" in run(programs / "mfsynth", "--version", folder=tmp_path)
    run(programs / "mfsynth", "build", "--split", "demo", "--limit", "4", "--out", "demo", folder=tmp_path)
    run(programs / "mfsynth", "verify", "demo", folder=tmp_path)
    assert "hf-seg" in run(programs / "mfsynth", "zoo", "list", folder=tmp_path)
    told = run(programs / "mfsynth", "zoo", "verify", "hf-seg", folder=tmp_path, code=1)
    assert "mfsynth[fuse]" in told
    code = "import zoo\ntry:\n    zoo.load('hf-seg')\nexcept ImportError as error:\n    print(error)"
    assert "mfsynth[fuse]" in run(programs / "python", "-c", code, folder=tmp_path)


def test_zoo_install_loads_its_shipped_networks(installed, tmp_path):
    programs = installed("[fuse]")
    code = "import zoo\nprint([type(zoo.load(name)).__name__ for name in zoo.names()], zoo.__file__)"
    told = run(programs / "python", "-c", code, folder=tmp_path)
    assert "'FusionModel'" in told
    assert str(tmp_path) in told
    assert "known pair" in run(programs / "mfsynth", "zoo", "verify", "hf-seg", folder=tmp_path)
    words = ["--repo", "a/b", "--license", "apache-2.0", "--dry-run"]
    told = run(programs / "mfsynth", "zoo", "push", "hf-seg", *words, folder=tmp_path)
    assert "# HF-Seg" in told


@pytest.mark.parametrize(
    ("extras", "backend"), [("[fuse-lite]", "onnxruntime"), ("[openvino,formats]", "openvino")]
)
def test_pictures_are_fused_without_torch(installed, tmp_path, extras, backend):
    programs = installed(extras)
    code = (
        "import cv2, mfsynth\n"
        "for name, frame in zip('ab', mfsynth.open('demo')[0].frames):\n"
        "    cv2.imwrite(f'{name}.png', frame)"
    )
    run(programs / "mfsynth", "build", "--split", "demo", "--limit", "1", "--out", "demo", folder=tmp_path)
    run(programs / "python", "-c", code, folder=tmp_path)
    told = run(programs / "mfsynth", "fuse", "a.png", "b.png", "-o", "c.png", folder=tmp_path)
    assert f"computed by {backend}" in told
    assert (tmp_path / "c.png").exists()
    told = run(programs / "mfsynth", "fuse", "a.png", "b.png", "-o", "d.png", "--precision", "bf16",
               folder=tmp_path, code=1)  # fmt: skip
    assert "mfsynth[fuse]" in told
    told = run(programs / "mfsynth", "zoo", "export", "focus-set", "-o", "n.onnx", folder=tmp_path, code=1)
    assert "mfsynth[fuse]" in told
    assert "torch" not in run(programs / "pip", "list", folder=tmp_path)
