"""Every error that the zoo raises on purpose: what happened, where, and what to do about it."""

from __future__ import annotations

from mfsynth.errors import MfsynthError, OptionsError


class ZooError(MfsynthError):
    """Base of all errors below."""


class ConfigError(ZooError, ValueError):
    """The configuration of a network or a training run makes no sense, or is from another release."""


class NewerConfigError(ConfigError):
    """A configuration was written by a newer release."""


class MissingFileError(ZooError, OSError):
    """A network's folder or repository lacks a file, or offers only pickles."""


class DamagedError(ZooError, ValueError):
    """A file is damaged or not the expected one: its hash differs, or it is cut short."""


class WeightsError(ZooError, ValueError):
    """Weights do not fit the network that the config describes."""


class DeviceError(ZooError, RuntimeError):
    """A device does not exist on this machine."""


class UnknownDeviceError(DeviceError, OptionsError):
    """No device can have this name."""


class UnknownModelError(ZooError, LookupError):
    """No network has this name."""


class NotPublishedError(ZooError, LookupError):
    """A network in the registry is not on the Hub yet."""


class ExportError(ZooError, RuntimeError):
    """An exported network does not decide as the network does."""


class FrameError(ZooError, ValueError):
    """Frames cannot be fused: too few, too small, of different kinds, or not finite."""


class MetricError(ZooError, ValueError):
    """Pictures cannot be compared: not gray, of different sizes, or too small."""


class PictureError(ZooError, OSError):
    """A picture file cannot be read or written."""


class AlignmentError(ZooError, RuntimeError):
    """Frames could not be registered to one another."""


class TrainingError(ZooError, RuntimeError):
    """A training run could not start or continue."""


class LoaderError(TrainingError):
    """A training run's data gave out: a batch could not be made, or a loader worker died."""
