"""What of a location leaves the process: everything but who asks, and with which key."""

from __future__ import annotations

import pickle
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mfsynth import locations
from mfsynth.errors import MfsynthError, ShardError, UnusableImage
from mfsynth.locations import scrubbed, shown
from zoo.errors import PictureError

SECRET = "hunter2SECRET"
TOKEN = "hf_" + "aB3" * 11

raw = st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=8)
name = st.text("abcxyz019-", min_size=1, max_size=6)
hosts = st.one_of(
    name, st.sampled_from(["[::1]", "[fe80::1%25eth0]", "[::ffff:10.0.0.1]", "10.0.0.1", "example.org"])
)
ports = st.one_of(st.just(""), st.integers(1, 65535).map(":{}".format))
paths = st.lists(st.one_of(name, st.sampled_from(["a@b", "a:b", "x%40y", "a b"])), max_size=4).map(
    lambda parts: "".join(f"/{part}" for part in parts)
)
chains = st.sampled_from(["", "simplecache::", "filecache::", "zip://in/a.txt::", "dir://::"])
schemes = st.sampled_from(["http", "https", "HTTPS", "ftp", "s3", "gs"])


@given(chains, schemes, raw, raw, hosts, ports, paths)
def test_user_and_password_are_not_shown_and_everything_else_is(
    chain: str, scheme: str, user: str, around: str, host: str, port: str, path: str
) -> None:
    password = quote(around + SECRET, safe="")
    bare = f"{chain}{scheme}://{host}{port}{path}"
    assert shown(f"{chain}{scheme}://{quote(user, safe='')}:{password}@{host}{port}{path}") == bare
    assert shown(f"{chain}{scheme}://{password}@{host}{port}{path}") == bare
    assert shown(bare) == bare


@given(chains, schemes, raw, raw, hosts, ports, paths, st.sampled_from("?#"))
def test_what_follows_the_path_is_not_shown(
    chain: str, scheme: str, before: str, after: str, host: str, port: str, path: str, mark: str
) -> None:
    assume(scheme.lower().startswith("http") or "::" not in before + after)
    bare = f"{chain}{scheme}://{host}{port}{path}"
    assert shown(f"{bare}{mark}{before}{SECRET}{after}") == bare


@given(raw, raw, hosts, paths)
def test_a_password_that_is_not_encoded_as_it_should_be_is_not_shown_either(
    before: str, after: str, host: str, path: str
) -> None:
    """Slashes, question marks and colons in it are what AWS and people use."""
    assume("@" not in path and not before[:1].isdecimal())
    for scheme in ("s3", "https"):
        assert SECRET not in shown(f"{scheme}://user:p{before}{SECRET}{after}@{host}{path}")


@pytest.mark.parametrize(
    "location",
    ["sets/val2017", "/a@b?c", "a::b", "", "hf://datasets/ann/pairs@refs/pr/1", "memory://box", "http://[::1]:80/a@b",
     "http://localhost:8000", "file:///a?b@c", "zip://a::/local/x@y.zip", "simplecache::/local/x"],
)  # fmt: skip
def test_what_has_no_secrets_is_shown_as_it_is(location: str) -> None:
    assert shown(location) == location
    assert scrubbed(location) == location


def test_a_forgotten_host_shows_no_password() -> None:
    for password in (SECRET, f"a/{SECRET}"):
        assert shown(f"https://ann:{password}") == "https://…"


@given(raw, raw)
def test_texts_are_scrubbed_of_urls_and_tokens_wherever_they_stand(before: str, after: str) -> None:
    assume("@" not in after and "/" not in before)
    url = f"https://ann:{SECRET}@host/x?X-Amz-Signature={SECRET}"
    for text in (f"{before} {url}: {after}", f"{before}'{url}', {after}", f"url={url}", f"<{url}>"):
        assert SECRET not in scrubbed(text)
        assert "https://host/x" in scrubbed(text)
        assert scrubbed(scrubbed(text)) == scrubbed(text)
    assert TOKEN not in scrubbed(f"Illegal header value b'Bearer {TOKEN}\\n'")
    assert scrubbed("hf_seg and hf_reg") == "hf_seg and hf_reg"


@pytest.mark.parametrize(
    "kind", [MfsynthError, ShardError, PictureError, lambda *it: UnusableImage("why", it[0])]
)
def test_errors_keep_no_secret_also_when_pickled(kind: type[MfsynthError]) -> None:
    error = kind(f"url=URL('http://ann:{SECRET}@h/x?sig={SECRET}'), http:/ann:{SECRET}@h/x", f"token {TOKEN}")
    again = pickle.dumps(error)
    for secret in (SECRET, TOKEN):
        assert secret not in repr(error) + str(error) + str(error.args)
        assert secret.encode() not in again
    assert str(pickle.loads(again)) == str(error)
    assert "'http://h/x'" in str(error)


@given(schemes, hosts, paths, st.sampled_from(["", "?token=a/b", "?a=b::c/d"]))
def test_a_file_in_a_folder_has_that_folder(scheme: str, host: str, path: str, query: str) -> None:
    folder = f"{scheme}://u:p@{host}{path}{query if scheme.lower().startswith('http') else ''}"
    file = locations.join(folder, "manifest.json")
    assert shown(file).endswith("/manifest.json")
    assert locations.parent(file) == folder


def test_the_part_of_a_chain_that_has_the_path_is_extended() -> None:
    assert locations.join("zip://set::s3://b/x.zip", "m.json") == "zip://set/m.json::s3://b/x.zip"
    assert locations.join("simplecache::s3://b/set/", "m.json") == "simplecache::s3://b/set/m.json"
