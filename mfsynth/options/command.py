"""The command that builds a data set with given options."""

from __future__ import annotations

import shlex
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from mfsynth.options.build import BuildOptions
from mfsynth.options.words import option_words

if TYPE_CHECKING:
    from dataclasses import Field


def build_command(options: BuildOptions) -> str:
    """The shortest `mfsynth build` that gives these options.

    >>> build_command(BuildOptions("val2017", noise=(0, 0.1), licenses=(4, 5)))
    'mfsynth build --split val2017 --noise 0 0.1 --licenses 4,5'
    """
    words = ["mfsynth", "build"]
    for field in fields(BuildOptions):
        value = getattr(options, field.name)
        if value != _default(field):
            words += option_words(field.name, value)
    return shlex.join(words)


def _default(field: Field[Any]) -> Any:
    return field.default_factory() if callable(field.default_factory) else field.default
