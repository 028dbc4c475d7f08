"""What tests of stacks share: a network for sets."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from zoo.networks import Config
from zoo.pretrained import FusionModel
from zoo.store.folder import save_folder


@pytest.fixture(scope="session")
def set_model() -> FusionModel:
    """A small network for sets of frames."""
    torch.manual_seed(0)
    config = Config(task="seg", architecture="focus-set", width=3, depth=1, upsampling="bilinear")
    return FusionModel(config).eval()


@pytest.fixture(scope="session")
def set_network(set_model: FusionModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its folder."""
    folder = tmp_path_factory.mktemp("set-network")
    save_folder(folder, set_model)
    return folder
