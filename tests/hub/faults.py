"""Faults that a test can plan for the hub, and the log of requests.

A fault applies to requests that match a regular expression: `re.search(pattern, "GET /path?query")`, with the
path percent-encoded as the client sent it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

from hub.refusal import RefusedError

Action = Callable[[], object]
T = TypeVar("T")


@dataclass(frozen=True)
class Request:
    """A request, and the status of its answer."""

    method: str
    path: str
    query: str
    host: Literal["hub", "cdn"]
    port: int
    token: str | None
    """The name of the token's user; "?" for an unknown token."""
    range: str | None
    status: int

    @property
    def has_authorization(self) -> bool:
        return self.token is not None

    @property
    def line(self) -> str:
        return request_line(self.method, self.path, self.query)


def request_line(method: str, path: str, query: str) -> str:
    return f"{method} {path}?{query}" if query else f"{method} {path}"


@dataclass
class _Planned(Generic[T]):
    """Something that happens with the next `times` matching requests."""

    pattern: str
    times: int
    what: T


class _Plan(Generic[T]):
    def __init__(self) -> None:
        self._items: list[_Planned[T]] = []

    def add(self, pattern: str, times: int, what: T) -> None:
        self._items.append(_Planned(pattern, times, what))

    def take(self, line: str) -> T | None:
        for item in self._items:
            if item.times > 0 and re.search(item.pattern, line):
                item.times -= 1
                return item.what
        return None


@dataclass(frozen=True)
class _Spoiling:
    pattern: str
    spoil: Callable[[bytes], bytes]


@dataclass
class Faults:
    ignore_range: bool = False
    """Answer requests for a part of a file with 200 and the whole file."""
    _answers: _Plan[RefusedError] = field(default_factory=_Plan)
    _cuts: _Plan[int] = field(default_factory=_Plan)
    _actions: _Plan[Action] = field(default_factory=_Plan)
    _spoilings: list[_Spoiling] = field(default_factory=list)
    _hidden: list[str] = field(default_factory=list)

    def answer(
        self,
        pattern: str,
        status: int,
        *,
        times: int = 1,
        code: str | None = None,
        message: str = "Asked to fail",
        headers: dict[str, str] | None = None,
    ) -> None:
        """The next requests are not carried out but get this answer; `code` becomes the X-Error-Code."""
        self._answers.add(pattern, times, RefusedError(status, message, code, headers or {}))

    def cut(self, pattern: str, *, after: int = 0, times: int = 1) -> None:
        """The next requests are carried out, but the connection breaks `after` bytes of the answer's body."""
        self._cuts.add(pattern, times, after)

    def before(self, pattern: str, action: Action, *, times: int = 1) -> None:
        """Do something just before the next requests are carried out, as if another user had been faster."""
        self._actions.add(pattern, times, action)

    def flip(self, pattern: str, *, at: int = 0) -> None:
        """Files are served with one wrong byte; headers and listings describe the right ones."""
        self._spoilings.append(_Spoiling(pattern, lambda data: _flipped(data, at)))

    def shorten(self, pattern: str, *, to: int) -> None:
        """Files are served as if they ended there; HEAD and listings give the true size."""
        self._spoilings.append(_Spoiling(pattern, lambda data: data[:to]))

    def never_found(self, pattern: str) -> None:
        """Files whose path in the repository matches are neither listed nor served, though committed."""
        self._hidden.append(pattern)

    def planned_answer(self, line: str) -> RefusedError | None:
        return self._answers.take(line)

    def planned_cut(self, line: str) -> int | None:
        return self._cuts.take(line)

    def act(self, line: str) -> None:
        action = self._actions.take(line)
        if action is not None:
            action()

    def spoiled(self, line: str, data: bytes) -> bytes:
        for spoiling in self._spoilings:
            if re.search(spoiling.pattern, line):
                data = spoiling.spoil(data)
        return data

    def hidden(self, path: str) -> bool:
        return any(re.search(pattern, path) for pattern in self._hidden)


def _flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]
