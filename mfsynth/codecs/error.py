"""What every codec raises."""

from __future__ import annotations

from mfsynth.errors import MfsynthError


class CodecError(MfsynthError, ValueError):
    """Bytes that do not decode to the array they should hold."""
