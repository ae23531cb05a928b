"""An image that is pushed lies in the registry, whole, under the name that a cluster pulls."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from socket import create_server

import pytest
from images.engine import find_engine

from support.binaries import MissingError, binary
from support.cluster_registry import minio_at, push

CONFIG = """\
version: 0.1
log: {level: warn}
storage: {filesystem: {rootdirectory: FOLDER}}
http: {addr: ADDRESS}
"""
PLAIN = '[[registry]]\nlocation = "ADDRESS"\ninsecure = true\n'


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A registry's address, known to take no TLS."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("needs a registry: apt-get install docker-registry")
    with closing(create_server(("127.0.0.1", 0))) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    for name, text in {"config.yml": CONFIG, "registries.conf": PLAIN}.items():
        filled = text.replace("FOLDER", f"{tmp_path}/kept").replace("ADDRESS", address)
        (tmp_path / name).write_text(filled)
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", f"{tmp_path}/registries.conf")
    server = subprocess.Popen([program, "serve", tmp_path / "config.yml"])
    try:
        answered(server, f"http://{address}/v2/")
        yield address
    finally:
        server.terminate()
        server.wait(20)


def answered(server: subprocess.Popen[bytes], url: str) -> None:
    """Waits until it answers.

    Raises:
        AssertionError: it ended, or did not answer in time.
    """
    until = time.monotonic() + 30
    while server.poll() is None and time.monotonic() < until:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except urllib.error.URLError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("the registry did not answer")


def asked(url: str) -> bytes:
    kind = "application/vnd.oci.image.manifest.v1+json"
    request = urllib.request.Request(url, headers={"Accept": kind})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return answer.read()


def test_an_image_that_is_pushed_lies_there_whole(registry: str) -> None:
    try:
        size = binary("minio").stat().st_size
        engine = find_engine()
    except (MissingError, SystemExit) as missing:
        pytest.skip(str(missing))
    push(f"{registry}/team")
    try:
        base = f"http://{registry}/v2/team/assay/minio"
        manifest = json.loads(asked(f"{base}/manifests/1"))
        config = json.loads(asked(f"{base}/blobs/{manifest['config']['digest']}"))
        assert config["config"]["Entrypoint"] == ["/minio"]
        assert sum(layer["size"] for layer in manifest["layers"]) > size / 10
    finally:
        engine.remove(minio_at(f"{registry}/team"))
