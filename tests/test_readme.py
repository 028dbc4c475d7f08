"""The README's Python runs as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mfsynth import storage
from mfsynth.building.run import Run, build
from mfsynth.coco.resolve import demo_folder
from mfsynth.options import BuildOptions

README = Path(__file__).parents[1] / "README.md"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the data set that `make demo` builds."""
    home = tmp_path_factory.mktemp("home")
    coco = demo_folder(storage.cache_folder(), lambda _: None)
    build(BuildOptions("demo", shards=4), Run(coco, home / "out" / "demo"))
    return home


def test_every_python_block_runs(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    monkeypatch.setenv("HF_DATASETS_CACHE", str(home / "hf"))
    blocks = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    assert len(blocks) == 6
    names: dict[str, object] = {}
    for block in blocks:
        exec(block, names)
    assert names["batch"]["frames"].shape[1:] == (2, 3, 128, 128)  # type: ignore[index]
    assert names["sample"].focus.shape == (128, 128)  # type: ignore[attr-defined]
    assert names["fused"].image.shape == (128, 128, 3)  # type: ignore[attr-defined]
    assert {0, 1} <= set(names["sample"].focus.ravel().tolist())  # type: ignore[attr-defined]


def test_every_local_link_leads_somewhere() -> None:
    for link in re.findall(r"\]\((?!http)([^)#]+)", README.read_text("utf-8")):
        assert (README.parent / link).exists(), link
