"""The networks: tensors in, tensors out. Their configs are known without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.networks.config import Config

if TYPE_CHECKING:
    from zoo.networks.network import Network

__all__ = ["Config", "Network"]


def __getattr__(name: str) -> Any:
    if name != "Network":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from zoo.networks.network import Network

    return Network
