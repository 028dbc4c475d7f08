"""The text of an annotation file as UTF-8 JSON: other encodings and NaN are read, other kinds named."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from mfsynth import limits
from mfsynth.codecs import kinds
from mfsynth.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mfsynth.coco.finding.files import FileRef

_CONSTANT = re.compile(rb"(?<=[\s:,\[])(-?(?:NaN|Infinity))(?=[\s,\]}])")
_AGAIN = "download or write it again"


def read_text(file: FileRef) -> bytes:
    """The file's bytes.

    Raises:
        SourceError: If it cannot be read, is larger than `limits.ANNOTATION_BYTES`, or is of another kind.
    """
    if file.size > limits.ANNOTATION_BYTES:
        limit = limits.ANNOTATION_BYTES / 1e9
        raise SourceError(f"{file} has {file.size / 1e9:.1f} GB, the limit is {limit:.1f} GB", "split it")
    text = file.read(limits.ANNOTATION_BYTES)
    kind = kinds.kind_of(text)
    if kind not in (kinds.TEXT, *kinds.NOTHING):
        raise SourceError(f"{file} is {kind}, not JSON", kinds.remedy(kind, _AGAIN))
    if not text.strip(b" \t\r\n\0"):
        raise SourceError(f"{file} is empty", _AGAIN)
    return text


def readings(text: bytes, where: str) -> Iterator[bytes]:
    """The document as it is, then rewritten, each time at more cost, into JSON that msgspec decodes.

    It may begin with a byte order mark, be in UTF-16 or UTF-32, and hold NaN and Infinity, which become text.
    What is not UTF-8 becomes U+FFFD, so that it matters only where it is used.

    Raises:
        SourceError: After the last reading, if it is not one JSON document.
    """
    yield text
    decoded = text.decode(json.detect_encoding(text), "replace")
    text = decoded.encode()
    yield text
    yield _CONSTANT.sub(rb'"\1"', text)  # inside of a text, the quotes make it no JSON
    try:
        document = json.loads(decoded, parse_constant=str)
    except RecursionError as error:
        raise SourceError(f"{where} is nested too deeply") from error
    except json.JSONDecodeError as error:
        raise _not_json(decoded, where, error) from error
    except ValueError as error:
        raise SourceError(f"{where} is not COCO JSON: it holds a number with thousands of digits") from error
    yield json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")


def _not_json(text: str, where: str, error: json.JSONDecodeError) -> SourceError:
    if error.msg != "Extra data":
        place = f"line {error.lineno}, column {error.colno}"
        return SourceError(
            f"{where} is not COCO JSON: {error.msg} at {place}",
            f"it may be cut short: {_AGAIN}",
        )
    rest = text[error.pos :].lstrip()
    if not _begins_document(rest):
        return SourceError(
            f"{where} has extra data after its JSON document: {rest[:20]!r}…", "write it again"
        )
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) > 1 and all(map(_begins_document, lines[:2])) and error.lineno > 1:
        return SourceError(f"{where} holds a JSON document on each line", _ONE_DOCUMENT)
    return SourceError(f"{where} holds several JSON documents, one after the other", _ONE_DOCUMENT)


_ONE_DOCUMENT = "COCO's format is a single document with the lists images and annotations"


def _begins_document(text: str) -> bool:
    try:
        found: tuple[Any, int] = json.JSONDecoder().raw_decode(text.lstrip())
    except (ValueError, RecursionError):
        return False
    return isinstance(found[0], dict | list)
