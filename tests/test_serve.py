"""The example service, as its clients meet it: a real server on the loopback interface, real pictures."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import httpx2
import numpy as np
import pytest
import tifffile
from focus_stacks import stripes
from PIL import Image
from processes import children

import zoo
from mfsynth.codecs import png_chunk

FOLDER = Path(__file__).parents[1] / "examples" / "serve"
MODEL = "focus-set-small"
LIMITS = {
    "waiting": 2, "frames": 8, "pixels": 1_000_000, "picture_bytes": 4 << 20, "total_bytes": 6 << 20,
    "transfer_seconds": 6,
}  # fmt: skip


@dataclass
class Service:
    """A server that runs, and what it writes to its log."""

    url: str
    process: subprocess.Popen[str]
    folder: Path
    """Where it keeps pictures."""
    log: list[str]

    def post(self, *pictures: bytes, query: str = "", **more: dict[str, str]) -> httpx2.Response:
        """Post pictures, whose names say nothing."""
        files = [("pictures", ("IMG.jpg", data)) for data in pictures]
        return httpx2.post(f"{self.url}/fuse{query}", files=files, timeout=300, **more)

    @property
    def stacks(self) -> int:
        """The number of stacks that it fuses, or that wait."""
        return int(httpx2.get(f"{self.url}/health", timeout=60).json()["stacks"])

    @property
    def jobs(self) -> list[int]:
        """The processes that fuse a stack."""
        return [job for worker in children(self.process.pid) for job in children(worker)]

    def connect(self) -> socket.socket:
        """A connection, for what no client of HTTP does."""
        return socket.create_connection(("127.0.0.1", int(self.url.rpartition(":")[2])), timeout=60)

    def is_clean(self) -> bool:
        """Whether nothing is left of any request, on disk and in memory."""
        return not any(self.folder.iterdir()) and not self.jobs and self.stacks == 0


@contextmanager
def serving(folder: Path, **limits: int) -> Iterator[Service]:
    """A service with limits; nothing that it says to clients or writes to its log may be a traceback."""
    given = {f"SERVE_{name.upper()}": str(value) for name, value in (LIMITS | limits).items()}
    own = {"SERVE_MODEL": MODEL, "SERVE_PORT": "0", "OPENCV_FOR_THREADS_NUM": "1", "TMPDIR": str(folder)}
    path = os.pathsep.join([str(FOLDER.parents[1]), os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen(
        [sys.executable, "serve.py"],
        cwd=FOLDER,
        env={**os.environ, "PYTHONPATH": path, **own, **given},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    log: list[str] = []
    url = ""
    assert process.stderr is not None
    for line in process.stderr:
        log.append(line)
        if found := re.search(r"running on (http://[\d.:]+)", line):
            url = found[1]
            break
    assert url, "".join(log)
    reader = threading.Thread(target=log.extend, args=(process.stderr,), daemon=True)
    reader.start()
    try:
        yield Service(url, process, folder, log)
    finally:
        process.terminate()
        process.wait(60)
        reader.join(60)
    assert "Traceback" not in "".join(log)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(tmp_path_factory.mktemp("serve")) as running:
        yield running


def png(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".png", pixels[..., ::-1])[1].tobytes()


def stack(count: int = 3, height: int = 48, width: int = 64) -> list[bytes]:
    return [png(frame) for frame in stripes(count, height, width)]


@pytest.fixture(scope="module")
def large() -> list[bytes]:
    """A stack that one thread fuses in many seconds, on any machine."""
    near, far = (cv2.imencode(".jpg", each, [cv2.IMWRITE_JPEG_QUALITY, 80]) for each in stripes(2, 900, 1100))
    return [near[1].tobytes(), far[1].tobytes()] * 4


def refusal(response: httpx2.Response, status: int) -> str:
    """The reason that a response gives, which must come with a remedy."""
    assert response.status_code == status, response.text[:200]
    said = response.json()
    assert sorted(said) == ["reason", "remedy"]
    assert said["reason"]
    assert said["remedy"]
    assert "--" not in said["remedy"]  # no option of the command line
    return str(said["reason"])


def eventually(true: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


# --- What it gives ----------------------------------------------------------------------------------


def test_it_gives_the_picture_that_fuse_stack_gives(service: Service) -> None:
    expected = zoo.load(MODEL, backend="onnxruntime").fuse_stack(stripes(3, 48, 64)).image
    response = service.post(*stack())
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "image/png"
    assert json.loads(response.headers["fuse-notes"]) == []
    assert np.array(Image.open(io.BytesIO(response.content))).tobytes() == expected.tobytes()
    eventually(service.is_clean)


@pytest.mark.parametrize(
    ("query", "accept", "expected"),
    [("?format=tif&align=yes", "image/png", "TIFF"), ("", "text/html, image/webp;q=0.9, */*;q=0.1", "WEBP")],
)
def test_the_client_chooses_the_type(service: Service, query: str, accept: str, expected: str) -> None:
    response = service.post(*stack(2), query=query, headers={"Accept": accept})
    assert response.status_code == 200, response.text
    picture = Image.open(io.BytesIO(response.content))
    assert picture.format == expected
    assert response.headers["content-type"] == Image.MIME[expected]


def test_it_shows_a_form_and_its_state(service: Service) -> None:
    assert 'action="fuse"' in httpx2.get(service.url).text
    state = httpx2.get(f"{service.url}/health").json()
    assert state["model"] == MODEL
    assert state["workers"] == 1
    assert state["limits"]["pixels"] == LIMITS["pixels"]


# --- What it refuses --------------------------------------------------------------------------------


def declared_png(side: int) -> bytes:
    """A PNG that says that it is large."""
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(part for chunk in chunks for part in png_chunk(*chunk))


def tiff(side: int, strip: bytes, tile: int = 0) -> bytes:
    """A gray TIFF of one compressed strip or tile."""
    place = {322: tile, 323: tile, 324: 8, 325: len(strip)} if tile else {273: 8, 278: side, 279: len(strip)}
    tags = {256: side, 257: side, 258: 8, 259: 8, 262: 1, 277: 1, **place}
    rows = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items()))
    at = 8 + len(strip)
    return struct.pack("<2sHI", b"II", 42, at) + strip + struct.pack("<H", len(tags)) + rows + bytes(4)


BOMBS = {
    "png": (declared_png(100_000), "picture 2 has 10,000,000,000 pixels"),
    "jpeg": (
        cv2.imencode(".jpg", np.zeros((8, 8), np.uint8))[1]
        .tobytes()
        .replace(b"\0\x08\0\x08", b"\xff\xdc" * 2),
        "picture 2 has 4,290,",
    ),
    "tiff": (tiff(100_000, zlib.compress(bytes(1000))), "picture 2 has 10,000,000,000 pixels"),
    "tile": (tiff(64, zlib.compress(bytes(1000)), tile=65_536), "picture 2 has 4,294,967,296 pixels"),
    "zip": (tiff(64, zlib.compress(bytes(256 << 20), 9)), "cannot read picture 2: "),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_bombs_are_refused_by_what_they_declare(service: Service, kind: str) -> None:
    bomb, expected = BOMBS[kind]
    assert refusal(service.post(stack()[0], bomb), 422).startswith(expected)


def test_what_cannot_be_fused_is_named(service: Service) -> None:
    first = stack()[0]
    assert refusal(service.post(first, b"GIF89a"), 422) == "picture 2 is a GIF"
    assert refusal(service.post(first, b""), 422) == "picture 2 is empty"
    assert "cannot read picture 1" in refusal(service.post(first[:300], first), 422)
    other = refusal(service.post(first, stack(2, 40, 64)[0]), 422)
    assert "picture 1 is 64 x 48" in other
    assert "picture 2 is 64 x 40" in other
    black = png(np.zeros((48, 64, 3), np.uint8))
    assert "picture 3 is black" in refusal(service.post(*stack(2), black), 422)
    assert "not 1" in refusal(service.post(first), 422)


def test_too_much_is_refused(service: Service) -> None:
    first = stack()[0]
    assert "Too many files" in refusal(service.post(*[first] * 9), 400)
    assert "picture 2 has 5,000,000 bytes" in refusal(service.post(first, bytes(5_000_000)), 422)
    assert "too many bytes" in refusal(service.post(bytes(4_000_000), bytes(4_000_000)), 413)
    pages = io.BytesIO()
    tifffile.imwrite(pages, np.stack(stripes(9)), photometric="rgb")
    assert "from 2 to 8 frames here, not 9" in refusal(service.post(pages.getvalue()), 422)


def test_odd_requests_are_refused(service: Service) -> None:
    fuse = f"{service.url}/fuse"
    assert "no picture" in refusal(httpx2.post(fuse, data={"format": "png"}), 400)
    assert "no picture" in refusal(httpx2.post(fuse, json=[]), 400)
    assert refusal(httpx2.post(fuse, content=b"--x", headers={"content-type": "multipart/form-data"}), 400)
    assert "format is 'gif'" in refusal(service.post(*stack(2), query="?format=gif"), 400)
    assert "rule is 'soft'" in refusal(service.post(*stack(2), query="?rule=soft"), 400)
    assert "Accept" in refusal(service.post(*stack(2), headers={"Accept": "text/plain"}), 406)
    assert refusal(httpx2.get(fuse), 405)
    assert refusal(httpx2.get(f"{service.url}/../etc/passwd"), 404)


# --- Many, slow and lost clients --------------------------------------------------------------------


def test_of_twenty_at_once_some_are_served_and_the_others_told_when_to_come_back(service: Service) -> None:
    pictures = stack()
    with ThreadPoolExecutor(20) as pool:
        responses = list(pool.map(lambda _: service.post(*pictures), range(20)))
    served = [each for each in responses if each.status_code == 200]
    assert len(served) >= 1 + LIMITS["waiting"]
    assert len({each.content for each in served}) == 1
    for each in responses:
        if each not in served:
            assert "busy" in refusal(each, 503)
            assert int(each.headers["retry-after"]) > 0
    assert len(served) < 20
    eventually(service.is_clean)


HEAD = (
    b"POST /fuse HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n"
    b"Content-Length: 100000\r\n\r\n"
    b'--b\r\nContent-Disposition: form-data; name="pictures"; filename="a.png"\r\n\r\n'
)


def test_slow_bodies_keep_nobody_waiting_and_are_ended(service: Service) -> None:
    slow = [service.connect() for _ in range(3)]
    for each in slow:
        each.sendall(HEAD)
    assert service.post(*stack(2)).status_code == 200
    for each in slow:
        answer = each.makefile("rb").read()  # to the end: it closes the connection
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"more than 6 seconds" in answer
        each.close()
    eventually(service.is_clean)


def test_a_client_that_goes_midway_leaves_nothing(service: Service) -> None:
    with service.connect() as lost:
        lost.sendall(HEAD + bytes(50_000))
        eventually(lambda: any(service.folder.iterdir()))
    eventually(service.is_clean)


def test_nothing_is_fused_for_a_client_that_has_gone(service: Service, large: list[bytes]) -> None:
    request = httpx2.Request(
        "POST", f"{service.url}/fuse", files=[("pictures", ("a.jpg", each)) for each in large]
    )
    body = request.read()
    head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    with service.connect() as lost:
        lost.sendall(f"POST /fuse HTTP/1.1\r\n{head}\r\n".encode() + body)
        eventually(lambda: bool(service.jobs))
        time.sleep(0.5)
        (job,) = service.jobs
    eventually(lambda: job not in service.jobs, 5)
    eventually(service.is_clean)
    assert service.post(*stack(2)).status_code == 200


def test_a_stack_that_takes_too_long_is_ended_and_the_next_is_fused(
    tmp_path: Path, large: list[bytes]
) -> None:
    with serving(tmp_path, fuse_seconds=1) as service:
        assert "more than 1 seconds" in refusal(service.post(*large), 504)
        eventually(service.is_clean)
        assert "a GIF" in refusal(service.post(b"GIF89a"), 422)


@pytest.mark.slow
def test_a_worker_that_died_is_replaced(tmp_path: Path) -> None:
    with serving(tmp_path) as service:
        (worker,) = children(service.process.pid)
        os.kill(worker, signal.SIGKILL)
        assert "worker died" in refusal(service.post(*stack(2)), 500)
        assert service.post(*stack(2)).status_code == 200


@pytest.mark.slow
def test_a_stack_that_needs_too_much_memory_is_refused(tmp_path: Path, large: list[bytes]) -> None:
    with serving(tmp_path, memory_bytes=350 << 20) as service:
        assert "memory" in refusal(service.post(*large), 422)
        assert service.post(*stack(2)).status_code == 200


# --- Around it --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "numbers"),
    [
        ("SERVE_WORKERS", "0", "of 1 or more"),
        ("SERVE_PIXELS", "many", "of 1 or more"),
        ("SERVE_WAITING", "-1", "of 0 or more"),
        ("SERVE_PORT", "http", "from 0 to 65535"),
    ],
)
def test_a_limit_that_makes_no_sense_is_named(name: str, value: str, numbers: str) -> None:
    command = [sys.executable, FOLDER / "serve.py"]
    done = subprocess.run(
        command, env={**os.environ, name: value}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr == f"{name} is {value!r}; give a whole number {numbers}\n"


def test_a_network_that_there_is_not_is_named() -> None:
    env = {**os.environ, "SERVE_MODEL": "focus-sett", "SERVE_PORT": "0", "PYTHONPATH": str(FOLDER.parents[1])}
    command = [sys.executable, FOLDER / "serve.py"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode != 0
    assert "SERVE_MODEL: there is no network 'focus-sett'" in done.stderr


def test_the_readme_tells_every_limit(service: Service) -> None:
    readme = (FOLDER / "README.md").read_text("utf-8")
    told = dict(re.findall(r"^\| `SERVE_(\w+)` \| ([\d,]+) \|", readme, re.MULTILINE))
    defaults = re.findall(r"^    (\w+): int = (.+)$", (FOLDER / "serve.py").read_text("utf-8"), re.MULTILINE)
    assert {name.upper(): f"{eval(value):,}" for name, value in defaults} == told
    assert {name for name, _ in defaults} == set(httpx2.get(f"{service.url}/health").json()["limits"])
