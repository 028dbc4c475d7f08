"""Local paths and URLs as texts: where a file is, and what of it may be shown."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

_LINK = re.compile(r"::(?=[A-Za-z][\w+.-]*(?:://|::)|/)")
"""Between the URLs of a chain, such as `simplecache::https://…`; never inside an IPv6 address."""
_WEB = re.compile(r"https?://", re.IGNORECASE)
_LOCAL = ("file", "local")
_AUTHORITY = re.compile(r"(\[[^\]@]*\]|[^:@\[\]]*)(:\d*)?")
"""A host and a port, as they should be."""
_URL = re.compile(r"(?:[A-Za-z][\w+.-]*://|https?:/)[^\s\"'<>]*")
"""In a text, also as a local path would have it, with one slash."""
_TOKEN = re.compile(r"\bhf_[A-Za-z0-9]{20,}")
"""An access token of the Hugging Face Hub."""
_SHORTEST = 4
"""Characters of a secret that is looked for in texts: shorter ones occur by chance."""
_LOST_SLASHES = re.compile(r"(s3|gs|az|hf|https?):/?(?=[^/])")
_PUNCTUATION = ".,:;!?)]}"


def is_url(location: str | os.PathLike[str]) -> bool:
    """Whether a location is a URL rather than a local path; `file://` is one, too, see `local_path`."""
    return "://" in os.fspath(location)


def is_web(location: str | os.PathLike[str]) -> bool:
    """Whether a location is a plain http or https URL."""
    return _WEB.match(os.fspath(location)) is not None


def local_path(location: str | os.PathLike[str]) -> Path | None:
    """The local path that a location names, as a path or a `file://` URL; None for any other URL.

    >>> local_path("file:///sets/my%20set")
    PosixPath('/sets/my set')
    """
    text = os.fspath(location)
    scheme, separator, rest = text.partition("://")
    if not separator:
        return Path(text)
    if scheme.lower() not in _LOCAL:
        return None
    return Path(unquote(rest.removeprefix("localhost")))


def meant_url(path: str | os.PathLike[str]) -> str:
    """How a URL begins that a local path was meant to be; empty for any other path.

    It was typed wrongly, or was a `Path`, which turns `//` into `/`.

    >>> meant_url(Path("s3://box/set")), meant_url("sets/val2017")
    ('s3://', '')
    """
    lost = _LOST_SLASHES.match(os.fspath(path))
    return f"{lost[1]}://" if lost else ""


def shown(location: str | os.PathLike[str]) -> str:
    """A location fit to be shown, recorded or published: URLs without user, password, query and fragment.

    Signed URLs have their key in the query. Whatever names a location outside this process uses this.

    >>> shown("https://ann:secret@example.org/set?X-Signature=abc")
    'https://example.org/set'
    >>> shown("sets/val2017")
    'sets/val2017'
    """
    return "::".join(map(_without_secrets, _links(os.fspath(location))))


def scrubbed(text: str, location: str = "") -> str:
    """A text with every URL in it as `shown`, and without tokens of the Hugging Face Hub.

    Args:
        text: Such as another library's error.
        location: A URL that it is about: what `shown` hides of it is hidden wherever the text quotes it.

    >>> scrubbed("403 for https://example.org/a?sig=abc: forbidden")
    '403 for https://example.org/a: forbidden'
    >>> scrubbed("invalid bucket name 'ann:secret@box'", "s3://ann:secret@box/set")
    "invalid bucket name '…@box'"
    """
    for secret in sorted(_secrets(location), key=len, reverse=True):
        text = text.replace(secret, "…")
    return _TOKEN.sub("hf_…", _URL.sub(lambda found: _shown_in_text(found[0]), text))


def join(folder: str | os.PathLike[str], name: str) -> str:
    """The location of a file in a folder, as a local path or URL; a web URL keeps its query at its end.

    >>> join("https://example.org/set?token=abc", "manifest.json")
    'https://example.org/set/manifest.json?token=abc'
    """
    path = local_path(folder)
    if path is not None:
        return str(path / name)
    before, url, after = _path_of(os.fspath(folder))
    return f"{before}{url}{'' if url.endswith('/') else '/'}{name}{after}"


def parent(location: str) -> str:
    """The folder of a file, as a local path or URL."""
    path = local_path(location)
    if path is not None:
        return str(path.parent)
    before, url, after = _path_of(location)
    folder = url[: url.rindex("/")]
    return f"{before}{folder}{'/' if folder.endswith('/') else ''}{after}"


def _secrets(location: str) -> Iterator[str]:
    """What `shown` hides of a URL: user and password, together and each, and the values of its query."""
    for link in _links(location):
        rest = link.partition("://")[2]
        user = rest.rpartition("@")[0]
        query = re.split("[?#]", rest.removeprefix(f"{user}@"), maxsplit=1)[1:]
        values = [part.rpartition("=")[2] for text in query for part in re.split("[&#]", text)]
        texts = [user, *user.split(":", 1), *query, *values]
        yield from (form for text in texts for form in (text, unquote(text)) if len(text) >= _SHORTEST)


def _links(location: str) -> list[str]:
    """The URLs of a chain. A web URL is the last one: `::` in its query or password divides nothing."""
    links = _LINK.split(location)
    for number, link in enumerate(links):
        if is_web(link):
            return [*links[:number], "::".join(links[number:])]
    return links


def _path_of(location: str) -> tuple[str, str, str]:
    """The URL in a chain whose path is the file's, and the text before and after it: queries, archives."""
    links = _links(location)
    number = next(number for number, link in enumerate(links) if "://" in link)
    url, query = _cut_query(links[number]) if is_web(links[number]) else (links[number], "")
    before = "".join(f"{link}::" for link in links[:number])
    return before, url, query + "".join(f"::{link}" for link in links[number + 1 :])


def _cut_query(url: str) -> tuple[str, str]:
    at = re.search(r"[?#]|$", url)
    assert at is not None
    return url[: at.start()], url[at.start() :]


def _without_secrets(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url
    host, path = _divided(rest)
    if "@" in host:
        host = host.rpartition("@")[2]
    elif not _AUTHORITY.fullmatch(host):  # as of a password with a slash in it
        if "@" in rest:
            host, path = _divided(rest.rpartition("@")[2])
        elif is_web(url) and not host.startswith("["):  # a host was forgotten
            host, path = "…", ""
    return f"{scheme}://{host}{path if scheme.lower() in _LOCAL else _cut_query(path)[0]}"


def _divided(rest: str) -> tuple[str, str]:
    """Host with user and port, and what follows."""
    host = re.split("[/?#]", rest, maxsplit=1)[0]
    return host, rest[len(host) :]


def _shown_in_text(url: str) -> str:
    bare = url.rstrip(_PUNCTUATION)
    return shown(re.sub("^(https?):/(?!/)", r"\1://", bare)) + url[len(bare) :]
