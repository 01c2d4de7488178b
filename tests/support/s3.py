"""A real S3 server, versitygw, whose buckets are folders."""

import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.harness.toolchain import program
from tests.support.ports import free_port
from tests.support.waiting import until

KEY, SECRET = "forge-access-key", "forge-secret-canary"


@dataclass(frozen=True)
class S3Server:
    """`folder/BUCKET/KEY` is an object."""

    folder: Path
    host: str
    port: int

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def secret(self) -> dict[str, str]:
        """What a Secret for it holds."""
        return {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_ENDPOINT_URL": self.url}

    def put(self, bucket: str, prefix: str, files: dict[str, bytes]) -> None:
        """Objects, uploaded by an S3 client."""
        from io import BytesIO

        from minio import Minio

        client = Minio(f"{self.host}:{self.port}", KEY, SECRET, secure=False, region="us-east-1")
        if not client.bucket_exists(bucket):
            client.make_bucket(bucket)
        for path, data in files.items():
            client.put_object(bucket, f"{prefix}/{path}", BytesIO(data), len(data), part_size=5 * 2**20)


@contextmanager
def running(folder: Path, host: str = "127.0.0.1") -> Iterator[S3Server]:
    """It answers at this address until the end of the block; a folder that is there is served as it is."""
    metadata = folder.with_name("metadata")
    keeps = ["--nometa"] if folder.exists() else ["--sidecar", str(metadata)]
    for each in (folder, metadata):
        each.mkdir(exist_ok=True)
    server = S3Server(folder, host, free_port(host))
    environment = {"ROOT_ACCESS_KEY": KEY, "ROOT_SECRET_KEY": SECRET}
    command = [str(program("versitygw")), "--port", f"{host}:{server.port}", "posix", *keeps]
    with (folder.parent / "versitygw.log").open("wb") as log:
        process = subprocess.Popen([*command, str(folder)], env=environment, stdout=log, stderr=log)
    try:
        until(lambda: process.poll() is not None or answers(server.url), limit=90, what="versitygw")
        assert process.poll() is None, (folder.parent / "versitygw.log").read_text()
        yield server
    finally:
        process.terminate()
        process.wait(10)


def answers(url: str) -> bool:
    """Whether a server says anything at all."""
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except urllib.error.HTTPError as error:
        error.close()
    except OSError:
        return False
    return True
