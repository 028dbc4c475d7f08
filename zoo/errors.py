"""Every error that the zoo raises on purpose: what happened, where, and what to do about it."""

from __future__ import annotations

from mfsynth.errors import MfsynthError


class ZooError(MfsynthError):
    """Base of all errors below."""


class ConfigError(ZooError, ValueError):
    """A network's or a training's configuration makes no sense, or is of another release."""


class FrameError(ZooError, ValueError):
    """Frames that cannot be fused: too few, of different kinds, not finite, too small."""


class PictureError(ZooError, OSError):
    """A picture file cannot be read or written."""


class AlignmentError(ZooError, RuntimeError):
    """Frames could not be registered to one another."""


class TrainingError(ZooError, RuntimeError):
    """A training could not start or go on."""
