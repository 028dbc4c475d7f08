"""The public surface: what `import mfsynth` offers, and what it does not load."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import mfsynth

# Removing a name is a decision: change this list in the same commit, and say so in the changelog.
NAMES = [
    "Blur", "BuildError", "BuildReport", "DownloadError", "FrameRecipe", "ImageInfo", "Manifest",
    "MfsynthError", "MissingExtraError", "Optics", "OptionsError", "OutputError", "Recipe", "Sample", "Scene",
    "Segment", "ShardError", "Shot", "SourceError", "Traits", "Verification", "Window", "build", "decode",
    "merge", "open", "render", "synthesize", "verify",
]  # fmt: skip


def test_the_public_names_are_these() -> None:
    assert mfsynth.__all__ == NAMES
    assert all(getattr(mfsynth, name) for name in NAMES)
    assert set(NAMES) <= set(dir(mfsynth))
    with pytest.raises(AttributeError, match="no attribute 'opne'"):
        mfsynth.opne  # noqa: B018


def modules_after(code: str) -> set[str]:
    code += "; import sys; print(*sys.modules)"
    return set(
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.split()
    )


def test_importing_mfsynth_loads_neither_opencv_nor_numpy_nor_torch() -> None:
    assert not modules_after("import mfsynth") & {"cv2", "numpy", "torch", "webdataset", "msgspec"}


def test_the_command_line_answers_help_without_loading_them() -> None:
    assert not modules_after("import mfsynth.cli") & {
        "cv2",
        "numpy",
        "torch",
        "webdataset",
        "msgspec",
        "tqdm",
    }


def test_a_worker_loads_neither_torch_nor_webdataset() -> None:
    assert not modules_after("import mfsynth.building.work, mfsynth.verification.check, mfsynth.live") & {
        "torch",
        "webdataset",
    }


def test_a_missing_extra_is_named() -> None:
    code = """
import sys
sys.modules["torch"] = None
import mfsynth
from mfsynth.options import BuildOptions
from mfsynth.live import Live
try:
    Live((), BuildOptions("s")).torch()
except mfsynth.MissingExtraError as error:
    print(error)
"""
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output == "torch is not installed; in the checkout: pip install -e '.[fuse]'\n"


def test_an_installed_copy_names_the_published_extra(tmp_path: Path) -> None:
    shutil.copytree(Path(mfsynth.__file__).parent, tmp_path / "mfsynth")
    code = "import mfsynth; print(mfsynth.MissingExtraError('torch', 'fuse'))"
    output = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert output == "torch is not installed; pip install 'mfsynth[fuse]'\n"


def test_the_version_is_said_once() -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))["project"]
    assert project.get("version", mfsynth.__version__) == mfsynth.__version__
