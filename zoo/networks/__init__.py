"""The networks: tensors in, tensors out."""

from zoo.networks.config import Config
from zoo.networks.network import Network

__all__ = ["Config", "Network"]
