"""Tests run side by side, one a core: torch's own threads would only stand in each other's way."""

import torch

torch.set_num_threads(1)
