"""How a training is asked to stop: by SIGINT or SIGTERM to any of its processes; or by the end of one."""

from __future__ import annotations

import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from zoo.errors import LoaderError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from accelerate import Accelerator

PATIENCE = 10.0
"""For how many seconds one of several processes still waits for its data after it was asked to stop."""


class Stop:
    """Whether a training is to stop after its step. A second SIGINT is a KeyboardInterrupt.

    Args:
        accelerator: Of the training.
        say: Called with a line at the first signal.
    """

    def __init__(self, accelerator: Accelerator, say: Callable[[str], None]) -> None:
        self._accelerator, self._say = accelerator, say
        self._came: float | None = None

    @contextmanager
    def awaited(self) -> Iterator[None]:
        """Note signals until the block ends."""
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = [signal.signal(number, self._note) for number in numbers]
        try:
            yield
        finally:
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)

    def _note(self, *_: object) -> None:
        self._came = time.monotonic()
        self._say("stopping after this step; press Ctrl-C again to stop at once")
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def asked(self) -> bool:
        """Whether any process was asked to stop; every process calls this before a step."""
        came = self._came is not None
        if self._accelerator.num_processes == 1:
            return came
        flag = torch.tensor(float(came), device=self._accelerator.device)
        return bool(self._accelerator.reduce(flag, "sum").item() > 0)

    def waits_no_longer(self) -> bool:
        """Whether a step that waits for data is to be given up, since this process was asked to stop.

        Raises:
            LoaderError: If the other processes cannot be told, since they are in the step.
        """
        if self._came is None or self._accelerator.num_processes == 1:
            return self._came is not None
        if time.monotonic() - self._came > PATIENCE:
            raise LoaderError("asked to stop, but the data for the current step does not arrive")
        return False


def is_lost(error: RuntimeError) -> bool:
    """Whether an error says that a process of the training no longer answers."""
    return isinstance(error, torch.distributed.DistError) or "third_party/gloo" in str(error)
