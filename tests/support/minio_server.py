"""A real MinIO on loopback, with a folder of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import urllib3

from assay.process.contract import S3StoreConfig
from support.binaries import binary

ACCESS_KEY = "tests"
SECRET_KEY = "of-the-tests-alone"
_START_SECONDS = 60


@dataclass
class MinioServer:
    """A server that answers; `process` may be stopped and continued by a test."""

    address: str
    process: subprocess.Popen[bytes]
    ca_file: Path | None = None

    def config(self, **changes: object) -> S3StoreConfig:
        """What a service of ours is told to use it."""
        given: dict[str, object] = {
            "endpoint": self.address,
            "bucket": "eval",
            "prefix": "space/demo",
            "owner": "this cluster",
            "access_key": ACCESS_KEY,
            "secret_key": SECRET_KEY,
            "secure": self.ca_file is not None,
            "ca_file": self.ca_file,
        }
        return S3StoreConfig.model_validate({**given, **changes})


@contextmanager
def running_minio(folder: Path, *, data: Path | None = None) -> Iterator[MinioServer]:
    """Starts one and ends it; with `certs/` in the folder it speaks TLS.

    Args:
        folder: its own, for logs and certificates.
        data: where objects go; None: below the folder.
    """
    address = f"127.0.0.1:{_free_port()}"
    certs = folder / "certs"
    command = [str(binary("minio")), "server", str(data or folder / "data")]
    command += ["--address", address, "--certs-dir", str(certs), "--quiet"]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "MINIO_ROOT_USER": ACCESS_KEY,
        "MINIO_ROOT_PASSWORD": SECRET_KEY,
        "MINIO_BROWSER": "off",
        "MINIO_UPDATE": "off",
        "CI": "true",
    }
    with (folder / "minio.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    ca_file = certs / "public.crt" if certs.is_dir() else None
    try:
        _await(process, address, ca_file, folder / "minio.log")
        yield MinioServer(address, process, ca_file)
    finally:
        process.kill()
        process.wait(10)


def _await(
    process: subprocess.Popen[bytes], address: str, ca_file: Path | None, log: Path
) -> None:
    pool = urllib3.PoolManager(ca_certs=str(ca_file) if ca_file else None)
    scheme = "https" if ca_file else "http"
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            url = f"{scheme}://{address}/minio/health/ready"
            if pool.request("GET", url, timeout=5, retries=False).status == 200:
                return
        except urllib3.exceptions.HTTPError:
            time.sleep(0.05)
    raise AssertionError(f"MinIO did not start:\n{log.read_text()[-2000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
