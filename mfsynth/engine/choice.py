"""Which engine runs a command's jobs."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import get_args

from mfsynth.engine.jobs import Engine, EngineName
from mfsynth.engine.local import Local
from mfsynth.errors import OptionsError

LOCAL = Local()
"""The engine of this machine, which needs no opening."""


def open_engine(name: EngineName = "local", ray_address: str | None = None) -> AbstractContextManager[Engine]:
    """An engine, ready while the block runs.

    Args:
        name: `local`, the processes of this machine, or `ray`.
        ray_address: The Ray cluster, as HOST:PORT; None takes $RAY_ADDRESS, else the cluster of this machine,
            else starts Ray on this machine only.

    Raises:
        OptionsError: If there is no such engine, or the address makes no sense.
        MissingExtraError: If Ray is chosen and not installed.
        BuildError: If no cluster answers at the address.
    """
    if name not in get_args(EngineName):
        raise OptionsError(f"there is no engine {name!r}", f"known: {', '.join(get_args(EngineName))}")
    if name == "local":
        if ray_address is not None:
            raise OptionsError(
                "the address of a Ray cluster is given, and Ray is not chosen", "add --engine ray"
            )
        return nullcontext(LOCAL)
    from mfsynth.engine.ray import connected

    return connected(ray_address)
