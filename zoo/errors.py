"""Every error that the zoo raises on purpose: what happened, where, and what to do about it."""

from __future__ import annotations

from mfsynth.errors import MfsynthError


class ZooError(MfsynthError):
    """Base of all errors below."""


class ConfigError(ZooError, ValueError):
    """A network's or a training's configuration makes no sense, or is of another release."""


class NewerConfigError(ConfigError):
    """A configuration is of a newer release."""


class MissingFileError(ZooError, OSError):
    """A network's folder or repository lacks a file, or offers pickles alone."""


class DamagedError(ZooError, ValueError):
    """A file is not the one that is meant: its hash differs, or it is cut short."""


class WeightsError(ZooError, ValueError):
    """Weights are not those of the network that the config names."""


class DeviceError(ZooError, RuntimeError):
    """There is no such device on this machine."""


class UnknownModelError(ZooError, LookupError):
    """No network goes by this name."""


class NotPublishedError(ZooError, LookupError):
    """A network that is in the registry is not on the Hub yet."""


class FrameError(ZooError, ValueError):
    """Frames that cannot be fused: too few, of different kinds, not finite, too small."""


class MetricError(ZooError, ValueError):
    """Pictures cannot be compared: in color where gray is meant, of different sizes, too small."""


class PictureError(ZooError, OSError):
    """A picture file cannot be read or written."""


class AlignmentError(ZooError, RuntimeError):
    """Frames could not be registered to one another."""


class TrainingError(ZooError, RuntimeError):
    """A training could not start or go on."""
