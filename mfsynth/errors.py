"""Every error that mfsynth raises on purpose: what happened, where, and what to do about it."""

from __future__ import annotations

from pathlib import Path

from mfsynth.locations import scrubbed

CHECKOUT = Path(__file__).parents[1]
"""The folder that holds the package; a checkout if it has a pyproject.toml."""


class MfsynthError(Exception):
    """Base of all errors below.

    Whatever the texts quote, such as another library's error, no password and no key in them is kept.

    Args:
        message: What happened, and where (file, image id).
        hint: What to do about it.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        self.message, self.hint = scrubbed(message), scrubbed(hint)
        super().__init__(self.message, self.hint)
        self.args = (self.message, self.hint)  # of an error that is an OSError, too, they are set already

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message


class OptionsError(MfsynthError, ValueError):
    """An option, or a combination of options, makes no sense."""


class MissingSampleError(OptionsError, KeyError, IndexError):
    """A data set has no sample of this key, or at this place."""


class UnknownLengthError(OptionsError, TypeError):
    """How many samples a stream has is not known; a TypeError, so that `list` and others do without."""


class SourceError(MfsynthError, ValueError):
    """The pictures, masks or annotations to build from are missing or broken."""


class UnreadableError(SourceError):
    """A file of the data is there, but not fit to be read: refused, too large, or not a regular file."""


class ChangedError(SourceError):
    """A file of the data was replaced, changed or removed while it was in use."""


class UnusableImage(SourceError):  # noqa: N818 - a fact about an image rather than a failure of the build
    """One image cannot be used; a build leaves it out unless it is strict.

    Args:
        reason: One of `mfsynth.coco.exclusions`; images left out are counted by it.
        message: Which file, and what is wrong with it.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.args = (reason, self.message)


class DownloadError(MfsynthError, RuntimeError):
    """An archive could not be fetched, or what arrived is not whole."""


class OutputError(MfsynthError, RuntimeError):
    """The output folder holds something else, or another build works on it."""


class BuildError(MfsynthError, RuntimeError):
    """A build could not go on: a worker died, the disk is full, an image is unusable in a strict build."""


class ShardError(MfsynthError, ValueError):
    """A data set, a shard or a sample on disk is not what the format says."""


class NotThereError(ShardError):
    """A file that is read does not exist."""


class LicenseError(MfsynthError, ValueError):
    """The pictures' licenses do not allow the requested use."""


class HubError(MfsynthError, RuntimeError):
    """The Hugging Face Hub refused, or did something that it should not. Base of all errors below."""


class HubNetworkError(HubError):
    """The Hub cannot be reached, and what is needed is not in the cache."""


class HubLoginError(HubError):
    """401: the Hub wants a login; it says so for private and for missing repositories."""


class HubAccessError(HubError):
    """403: the Hub knows who is asking, and does not allow it."""


class HubMissingError(HubError):
    """404: there is no such repository, or it lacks a file."""


class HubRevisionError(HubError):
    """The repository has no such branch, tag or commit."""


class HubConflictError(HubError):
    """Someone else changed the repository meanwhile, or a tag already marks another commit."""


class HubDamagedError(HubError):
    """Bytes that were sent or received are not the expected ones."""


class MissingExtraError(MfsynthError, ImportError):
    """A package of an optional extra is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed", install_command(extra))
        self.args = (package, extra)


def install_command(extra: str) -> str:
    """The command that installs an optional extra; in a checkout, from the checkout."""
    if (CHECKOUT / "pyproject.toml").is_file():
        return f"in the checkout: pip install -e '.[{extra}]'"
    return f"pip install 'mfsynth[{extra}]'"
