"""The Hub client's errors as ours: what happened, where, and what to do."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from mfsynth.errors import (
    HubAccessError,
    HubConflictError,
    HubDamagedError,
    HubError,
    HubLoginError,
    HubMissingError,
    HubNetworkError,
    HubRevisionError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


class Repository(Protocol):
    """What an error needs to know about a repository; see `mfsynth.hub.Repository`."""

    @property
    def id(self) -> str:
        """`user/name` or `organization/name`."""

    @property
    def type(self) -> str:
        """`model` or `dataset`."""

    @property
    def revision(self) -> str | None:
        """Branch, tag or commit; None is `main`."""


@contextmanager
def hub_errors(repository: Repository) -> Iterator[None]:
    """Turn the client's errors into ours."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        yield
    except HFValidationError as error:
        raise HubError(f"{repository.id!r} is not the name of a repository", "write user/name") from error
    except (HfHubHTTPError, httpx2.HTTPError, ConnectionError, FileNotFoundError, ValueError) as error:
        raise translated(error, repository) from error
    except PermissionError as error:
        raise translated(error, repository) from error
    except (OSError, RuntimeError) as error:  # a download of the wrong size, or a failed upload
        if isinstance(error, HubError):
            raise
        cause = error.__cause__
        if isinstance(cause, (HfHubHTTPError, httpx2.HTTPError)):
            raise translated(cause, repository) from error
        if isinstance(error, OSError) and error.errno is not None:
            raise HubError(f"{repository}: {error}", "check HF_HOME: permissions and free space") from error
        raise HubDamagedError(f"{repository}: {_message_of(error)}", "try again") from error


def translated(error: Exception, repository: Repository) -> HubError:
    """Our error for one of the client's."""
    from huggingface_hub import errors

    if isinstance(error, HubError):
        return error
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, errors.GatedRepoError) or status == 403:
        return HubAccessError(
            f"{repository}: permission denied ({_message_of(error)})",
            "ask for access on its page, or use a token with permission",
        )
    if status == 401:
        return HubLoginError(
            f"{repository} does not exist, or needs a login that is missing or wrong",
            "run `hf auth login`, or set HF_TOKEN",
        )
    absent = isinstance(error, FileNotFoundError) and not isinstance(error, errors.LocalEntryNotFoundError)
    if status is None and (absent or isinstance(error, PermissionError)):
        return HubError(f"{repository}: {error}", "check HF_HOME: permissions and free space")
    if isinstance(error, errors.RevisionNotFoundError):
        return HubRevisionError(f"{repository.id} has no revision {repository.revision or 'main'!r}")
    if isinstance(error, errors.RepositoryNotFoundError):
        return HubMissingError(
            f"there is no {repository.type} {repository.id} on the Hub, or it is private to another user",
            "check its name",
        )
    if isinstance(error, errors.RemoteEntryNotFoundError) or status == 404:
        return HubMissingError(f"{repository} does not have what was requested: {_message_of(error)}")
    if status in (409, 412):
        return HubConflictError(f"{repository} was changed by someone else meanwhile", "run it again")
    if status is not None:
        again = "try again later" if status in (408, 429) or status >= 500 else ""
        return HubError(f"{repository}: the Hub answered {status}: {_message_of(error)}", again)
    if isinstance(error, errors.LocalEntryNotFoundError) and error.__cause__ is not None:
        cause = error.__cause__
        if isinstance(cause, Exception) and not isinstance(cause, errors.OfflineModeIsEnabled):
            return translated(cause, repository)
    if isinstance(error, ValueError) and not isinstance(error, errors.LocalEntryNotFoundError):
        return HubError(f"{repository}: {_message_of(error)}")
    return HubNetworkError(
        f"the Hub cannot be reached for {repository} ({_message_of(error)})",
        "check the connection, proxies and HF_HUB_OFFLINE; what is in the cache can be used offline",
    )


def _message_of(error: BaseException) -> str:
    message = getattr(error, "server_message", None) or str(error) or type(error).__name__
    return " ".join(str(message).split()) or type(error).__name__
