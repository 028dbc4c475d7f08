"""Data sets to publish: drawn scenes, and pictures with unknown licenses. Tests must not write to them."""

from __future__ import annotations

from pathlib import Path

import pytest
from coco_folder import Picture, write_coco

from mfsynth.building.run import Run, build
from mfsynth.coco.demo import draw_demo
from mfsynth.options import BuildOptions
from mfsynth.shards.manifest import Manifest


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A COCO folder with six images of the split `demo`."""
    root = tmp_path_factory.mktemp("scenes")
    draw_demo(root, 6)
    return root


@pytest.fixture(scope="session")
def demo(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs of six scenes in two shards."""
    out = tmp_path_factory.mktemp("demo") / "set"
    build(BuildOptions("demo", shards=2), Run(scenes, out, workers=1))
    return out


@pytest.fixture(scope="session")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two samples of an image that may be published, four of two images under a license not in the table."""
    root = tmp_path_factory.mktemp("closed")
    pictures = [Picture(id=id, license=license) for id, license in ((5, 4), (6, 11), (7, 11))]
    write_coco(root / "coco", "own", pictures)
    build(BuildOptions("own", variants=2, shards=1), Run(root / "coco", root / "set", workers=1))
    return root / "set"


@pytest.fixture
def manifest(demo: Path) -> Manifest:
    """The manifest of the demo pairs."""
    return Manifest.read(demo)
