"""Requests to web servers, and what their answers mean: a file, a setback, or a refusal."""

from __future__ import annotations

import logging
import os
import time
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cache
from typing import TYPE_CHECKING

from mfsynth.locations import shown
from mfsynth.storage.patience import Setback

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import httpx2

BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers that another try may change."""
_DIGITS = 18


class Refused(Exception):  # noqa: N818 - callers make an error of their own kind of it
    """An answer that trying again does not change; `status` is None if there was none."""

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True, slots=True)
class Remote:
    """Which file the server has: its size, and its strong ETag, or its date, or nothing."""

    size: int
    version: str

    @classmethod
    def of(cls, response: httpx2.Response, unknown: int = 0) -> Remote:
        """The file that an answer is about; its size is `unknown` if the answer does not give it."""
        headers = response.headers
        size = headers.get("Content-Range", "").rpartition("/")[2] or headers.get("Content-Length", "")
        etag, date = headers.get("ETag", ""), headers.get("Last-Modified", "")
        known = size.isdecimal() and len(size) <= _DIGITS
        return cls(int(size) if known else unknown, etag if etag.startswith('"') else date)

    def same(self, other: Remote) -> bool:
        """Whether both are the same file, as far as one can know; a 206 may omit the date."""
        versions = {self.version, other.version} - {""}
        return self.size == other.size and len(versions) < 2


def new_client(timeout: float) -> httpx2.Client:
    """A client for whole files; it gives up after so many seconds without a byte, however long a file takes.

    The environment's proxies and certificates apply.
    """
    import httpx2

    logger = logging.getLogger("httpx2")
    if not any(isinstance(each, _WithoutSecrets) for each in logger.filters):
        logger.addFilter(_WithoutSecrets())
    headers = {"Accept-Encoding": "identity", "User-Agent": "mfsynth"}  # a compressed response has no ranges
    return httpx2.Client(follow_redirects=True, timeout=timeout, headers=headers)


def client(timeout: float) -> httpx2.Client:
    """This process's client; a forked process makes its own, as two must not share a connection."""
    return _client(timeout, os.getpid())


@cache
def _client(timeout: float, _process: int) -> httpx2.Client:
    return new_client(timeout)


@contextmanager
def answer(
    client: httpx2.Client, method: str, url: str, good: tuple[int, ...], headers: Mapping[str, str]
) -> Iterator[httpx2.Response]:
    """A response with a good status, its body still to come.

    Raises:
        Setback: If another try may help; also while the body is read.
        Refused: If it would not.
    """
    import httpx2

    try:
        with client.stream(method, url, headers=headers) as response:
            _check(response, good)
            yield response
    except (httpx2.UnsupportedProtocol, httpx2.LocalProtocolError) as error:
        raise Refused(str(error)) from error
    except httpx2.ReadTimeout as error:
        raise Setback("the server sends nothing", stalled=True) from error
    except httpx2.TransportError as error:
        raise Setback(str(error) or type(error).__name__) from error
    except httpx2.RequestError as error:  # too many redirects, or a body that is not encoded as it says
        raise Refused(str(error)) from error
    except httpx2.InvalidURL as error:
        raise Refused("it is not a valid URL") from error  # the reason may quote a password


def _check(response: httpx2.Response, good: tuple[int, ...]) -> None:
    status = response.status_code
    if status in good:
        return
    if status in BUSY:
        raise Setback(f"the server answers {status}", _pause(response.headers.get("Retry-After", "")))
    raise Refused(f"the server answers {status} ({response.reason_phrase.lower()})", status)


def _pause(asked: str) -> float:
    """Seconds that a server asks to wait, as their number or as a date."""
    if asked.isdecimal():
        return float(asked)
    try:
        return max(0.0, parsedate_to_datetime(asked).timestamp() - time.time())
    except (ValueError, OverflowError):
        return 0.0


class _WithoutSecrets(logging.Filter):
    """Takes user, password and query out of the URLs that the client logs."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change a record's URLs, and keep it."""
        if isinstance(record.args, tuple):
            record.args = tuple(shown(str(each)) if _is_url(each) else each for each in record.args)
        return True


def _is_url(value: object) -> bool:
    return type(value).__name__ == "URL"
