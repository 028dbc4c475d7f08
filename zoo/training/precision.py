"""Which arithmetic suits a machine: bf16 is faster than float32 only where the processor has it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from zoo.training.unfinished import precision_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from zoo.training.options import Precision, TrainOptions
    from zoo.training.run import TrainRun

_BF16 = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")
"""What PyTorch calls the instructions, of x86 and of ARM."""


def settled(options: TrainOptions, run: TrainRun) -> TrainOptions:
    """Options with `auto` replaced: by what an unfinished training began with, or what suits the machine."""
    if options.precision != "auto":
        return options
    begun = precision_of(run.out) if run.resume else None
    return replace(options, precision=begun or suitable(run.cpu))


def suitable(cpu: bool) -> Precision:
    """`bf16` if the device of a training has instructions for it, otherwise `fp32`.

    Args:
        cpu: Train on the CPU even if there is an accelerator.
    """
    if not cpu and torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    if not cpu and torch.backends.mps.is_available():
        return "fp32"
    return "bf16" if any(_capabilities().get(name) for name in _BF16) else "fp32"


def _capabilities() -> Mapping[str, object]:
    """What the processor can do, by PyTorch's names; early releases do not say."""
    ask: Callable[[], Mapping[str, object]] = getattr(torch.cpu, "get_capabilities", dict)
    return ask()
