"""A real S3 server on the loopback, with a proxy in front of it."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest
from s3.proxy import Proxy, proxying

BUCKET = "box-one"
KEY, SECRET = "KEYsEcReT", "tokensEcReT"


@dataclass(frozen=True)
class Store:
    """A bucket: `url` is an empty folder in it; `env` leads commands there, through the proxy."""

    proxy: Proxy
    url: str
    env: dict[str, str]
    system: Any
    """The bucket, seen directly."""

    @property
    def root(self) -> str:
        return self.url.removeprefix("s3://")

    def names(self) -> list[str]:
        """The files in the folder."""
        self.system.invalidate_cache()
        return sorted(name.removeprefix(f"{self.root}/") for name in self.system.find(self.root))

    def read(self, name: str) -> bytes:
        return bytes(self.system.cat_file(f"{self.root}/{name}"))

    def write(self, name: str, data: bytes) -> None:
        self.system.pipe_file(f"{self.root}/{name}", data)

    def tree(self) -> dict[str, str]:
        """Every file's hash, by its name; as for a local folder."""
        return {name: hashlib.sha256(self.read(name)).hexdigest() for name in self.names()}


@pytest.fixture(scope="session")
def s3_port() -> Iterator[int]:
    """The port of an S3 server."""
    from moto.moto_server.threaded_moto_server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    yield port
    server.stop()


@pytest.fixture(scope="session")
def s3_system(s3_port: int) -> Any:
    import s3fs

    system = s3fs.S3FileSystem(
        key="admin",
        secret="admin",
        endpoint_url=f"http://127.0.0.1:{s3_port}",
        client_kwargs={"region_name": "us-east-1"},
        use_listings_cache=False,
        skip_instance_cache=True,
    )
    system.call_s3("create_bucket", Bucket=BUCKET)
    return system


_numbers = count()


@pytest.fixture
def store(s3_port: int, s3_system: Any) -> Iterator[Store]:
    """An empty folder in a bucket, and the proxy before it."""
    with proxying(s3_port) as proxy:
        env = os.environ | {
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": proxy.url,
            "NO_PROXY": "127.0.0.1",
        }
        # locks of this machine go by the URL: each pytest worker, with a server of its own, needs others
        yield Store(proxy, f"s3://{BUCKET}/set-{os.getpid()}-{next(_numbers)}", env, s3_system)
