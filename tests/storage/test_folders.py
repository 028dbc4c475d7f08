"""Folders that are written to: on a disk, in memory and in a bucket, all the same."""

from __future__ import annotations

import pickle
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from s3.fixtures import BUCKET, KEY, SECRET, Store

from mfsynth import storage
from mfsynth.errors import DownloadError, OutputError, ShardError
from mfsynth.storage.arrival import is_proved
from mfsynth.storage.bucket import Bucket
from tests.conftest import Cli
from tests.storage.test_storage import QUICK


@pytest.fixture(autouse=True)
def own_tmpdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.fixture(params=["disk", "memory", "s3"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> storage.Folder:
    """An empty folder of each kind."""
    if request.param == "disk":
        found = storage.folder_at(tmp_path / "set", ".parts")
    elif request.param == "memory":
        MemoryFileSystem.store.clear()
        found = storage.folder_at("memory://box/set")
    else:
        store = request.getfixturevalue("store")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"):
            monkeypatch.setenv(name, store.env[name])
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        fresh_connections()
        found = storage.folder_at(store.url)
    found.prepare()
    return found


def fresh_connections() -> None:
    """Let the next use of S3 read the environment again."""
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()


def files(folder: storage.Folder) -> dict[str, int]:
    return {name: size for name, size in folder.listing().items() if size != storage.NOT_A_FILE}


def test_files_are_written_listed_moved_and_removed(folder: storage.Folder, tmp_path: Path) -> None:
    assert (files(folder), folder.has("a"), folder.read("a")) == ({}, False, None)
    folder.write("a", b"123")
    folder.write(".parts/b.json", b"4", "label")
    with folder.scratch("s-") as file:
        file.write(b"shard")
        assert "a.tar" not in files(folder)
        folder.publish(file, "a.tar")
    assert files(folder) == {"a": 3, ".parts/b.json": 1, "a.tar": 5}
    assert (folder.has("a"), folder.read("a"), folder.exists(), folder.obstacle()) == (True, b"123", True, "")
    folder.move("a.tar", "c.tar")
    folder.sync("c.tar")
    folder.remove("a")
    folder.remove("never-there")
    assert files(folder) == {"c.tar": 5, ".parts/b.json": 1}
    assert storage.read(storage.join(folder.location, "c.tar")) == b"shard"
    assert storage.names_in(folder.location)[-1] == "c.tar"
    again = pickle.loads(pickle.dumps(folder))
    assert again.read("c.tar") == b"shard"
    folder.sweep()
    assert not list(tmp_path.glob("mfsynth-*"))


def test_a_file_is_created_once(folder: storage.Folder) -> None:
    assert folder.create("a", b"1")
    assert folder.create("a", b"1")  # as after an answer that was lost
    assert not folder.create("a", b"2")
    assert folder.read("a") == b"1"


def test_a_name_is_held_by_one(folder: storage.Folder) -> None:
    name, said = ".parts/lock-0-1", []
    first = folder.hold(name, said.append)
    assert first is not None
    first.check()
    assert folder.hold(name, said.append) is None
    first.release()
    assert name not in files(folder)
    second = folder.hold(name, said.append)
    assert second is not None
    second.release()
    assert said == []


def test_scratch_files_of_killed_processes_are_swept(folder: storage.Folder) -> None:
    with folder.scratch("s-000001.tar-") as file, folder.scratch("s-000002.tar-") as other:
        folder.sweep(["s-000001.tar-"])
        assert [Path(each.name).exists() for each in (file, other)] == [False, True]
        folder.sweep()
        assert not Path(other.name).exists()


def test_jobs_that_share_a_folder_for_scratch_files_do_not_disturb_each_other() -> None:
    """One sweeps again and again, which removes the folder while it is empty; the other makes files."""
    folder, done = storage.folder_at("memory://box/set"), threading.Event()

    def sweep() -> None:
        while not done.wait(0.0005):  # without a pause, it may hold the other up for ever
            folder.sweep(["other-"])

    sweeping = threading.Thread(target=sweep)
    sweeping.start()
    try:
        for _ in range(2000):
            with folder.scratch("mine-") as file:
                assert Path(file.name).exists()
    finally:
        done.set()
        sweeping.join()


@pytest.mark.parametrize("location", ["https://example.org/set", "simplecache::s3://bucket/set"])
def test_a_place_that_cannot_be_written_is_refused(location: str) -> None:
    with pytest.raises(OutputError, match="is not an object store; give a local folder"):
        storage.folder_at(location)
    assert storage.names_in(location) == []


@pytest.mark.parametrize(
    ("location", "told"),
    [
        (Path("s3://box/set"), "cannot write to s3:/box/set: it is neither .* begins with s3://"),
        ("gs:box/set", "cannot write to gs:box/set: it is neither .* begins with gs://"),
        ("s3://", "cannot write to s3://: it names no bucket"),
        ("s3:///set", "cannot write to s3:///set: it names no bucket"),
        ("s3://box/set?versionId=SECRET", r"cannot write to s3://box/set: there is a \? or #"),
        ("s3://box/set#1", r"cannot write to s3://box/set: there is a \? or #"),
    ],
)
def test_a_spoiled_url_is_refused(location: str | Path, told: str) -> None:
    with pytest.raises(OutputError, match=told) as caught:
        storage.folder_at(location)
    assert "SECRET" not in str(caught.value)


def test_a_folder_with_a_colon_is_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    storage.folder_at("runs:1").prepare()
    assert Path("runs:1").is_dir()


def test_an_unknown_scheme_is_refused_at_once_and_told_which_there_are(
    cli: Cli, small_coco: Path, tmp_path: Path
) -> None:
    words = ("--split", "small", "--coco", small_coco, "--shards", 1)
    for run in (cli("build", *words, "--out", "foo://x/set"), cli("merge", "foo://x/set")):
        assert run.returncode == 1
        assert "cannot write to foo://x/set: nothing is known of foo:// URLs; give a local" in run.stderr
        assert "begins with s3://, gs://, az:// or the like" in run.stderr
    reading = cli("info", "foo://x/set")
    assert reading.returncode == 1
    assert "nothing is known of foo:// URLs; give a local path, or a URL that begins" in reading.stderr
    assert "s3://, gs://, az://, hf:// or https://" in reading.stderr


# --- what arrived -------------------------------------------------------------------------------------


def test_checksums_of_stores_prove_what_arrived(tmp_path: Path) -> None:
    """MD5 and SHA-256 of "hello", as published in many places."""
    path = tmp_path / "hello"
    path.write_bytes(b"hello")
    sha256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    right: list[dict[str, Any]] = [
        {"ETag": '"5d41402abc4b2a76b9719d911017c592"'},
        {"md5Hash": "XUFAKrxLKna5cZ2REBfFkg=="},
        {"lfs": {"sha256": sha256, "size": 5}},
    ]
    wrong: list[dict[str, Any]] = [
        {},
        {"ETag": '"6d41402abc4b2a76b9719d911017c592"'},  # or that of an encrypted object
        {"ETag": '"5d41402abc4b2a76b9719d911017c592-2"'},
        {"md5Hash": "XUFAKrxLKna5cZ2REBfFkQ=="},
        {"lfs": {"sha256": sha256.replace("2", "3")}},
    ]
    assert [is_proved(each, path) for each in right] == [True] * 3
    assert [is_proved(each, path) for each in wrong] == [False] * 5


def test_the_checksum_of_an_upload_in_parts_is_known(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(bytes(range(256)) * 50_000)
    store.system.put_file(str(path), f"{store.root}/large", chunksize=5 << 20)
    details = store.system.info(f"{store.root}/large")
    assert details["ETag"].endswith('-3"')
    assert is_proved(details, path)
    data = bytearray(path.read_bytes())
    data[6 << 20] ^= 1
    path.write_bytes(data)
    assert not is_proved(details, path)


def cut(data: bytes) -> bytes:
    return data[:-1]


def changed(data: bytes) -> bytes:
    return data[:-1] + b"?"


@pytest.mark.parametrize(
    ("fault", "told"), [(cut, "it arrived with 4 of 5 bytes"), (changed, "it arrived with other bytes")]
)
def test_a_store_without_checksums_is_read_back(
    monkeypatch: pytest.MonkeyPatch, fault: Callable[[bytes], bytes], told: str
) -> None:
    sent: list[str] = []
    times = 1

    def put_file(self: Any, local: str, remote: str, **_: object) -> None:
        sent.append(remote)
        data = Path(local).read_bytes()
        self.pipe_file(remote, fault(data) if len(sent) <= times else data)

    monkeypatch.setattr(MemoryFileSystem, "put_file", put_file)
    folder = Bucket("memory://box/faulty", QUICK)
    folder.write("a", b"12345")
    assert (folder.read("a"), len(sent)) == (b"12345", 2)
    times = 100
    with pytest.raises(
        OutputError, match=rf"cannot write a in memory://box/faulty: {told} \(3 tries in a row"
    ):
        folder.write("a", b"12345")


def test_errors_of_a_store_have_no_secrets(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.setenv(name, store.env[name])
    fresh_connections()
    store.proxy.fault = lambda _method, _path: "refuse"
    url = f"s3://{KEY}:{SECRET}@{BUCKET}/set?X-Amz-Signature={SECRET}"
    folder = Bucket(url, QUICK)
    texts = [str(folder), repr(folder)]
    calls: list[Callable[[], object]] = [
        folder.listing, lambda: folder.read("a"), lambda: folder.write("a", b"1"), lambda: folder.remove("a"),
        lambda: storage.read(storage.join(url, "a"), patience=QUICK),
        lambda: storage.path_at(url).is_dir(), lambda: storage.open_anywhere(f"{url}/a"),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises((OutputError, DownloadError, ShardError)) as caught:
            call()
        texts.append(str(caught.value))
    texts += caplog.messages
    assert not [text for text in texts if KEY in text or SECRET in text]


def test_a_folder_made_in_the_console_is_empty(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """S3's console puts an empty object there, whose name ends with a slash."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.setenv(name, store.env[name])
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    fresh_connections()
    bucket, _, prefix = store.root.partition("/")
    for key in (f"{prefix}/", f"{prefix}/.parts/"):
        store.system.call_s3("put_object", Bucket=bucket, Key=key)
    assert storage.folder_at(store.url).listing() == {}
