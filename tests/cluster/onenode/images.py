"""Images for the node: small ones made here from one static program, and others from an archive."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

from images.engine import find_engine

from cluster.onenode.place import Place

_IMPORT_SECONDS = 300


def archive(
    target: Path, name: str, program: Path, *, files: Mapping[str, Path] | None = None
) -> Path:
    """Writes an image archive of one static program, which is the image's entry point.

    Args:
        target: the archive.
        name: what the image is called.
        program: stands at `/<its name>`.
        files: more files, by their path in the image.
    """
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        for path, source in {f"/{program.name}": program, **(files or {})}.items():
            entry = tar.gettarinfo(source, path.lstrip("/"))
            entry.uid = entry.gid = 0
            entry.uname = entry.gname = ""
            entry.mode = 0o755
            with source.open("rb") as stream:
                tar.addfile(entry, stream)
        entry = tarfile.TarInfo("tmp")
        entry.type, entry.mode = tarfile.DIRTYPE, 0o1777
        tar.addfile(entry)
    data = layer.getvalue()
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Entrypoint": [f"/{program.name}"]},
            "rootfs": {
                "type": "layers",
                "diff_ids": [f"sha256:{hashlib.sha256(data).hexdigest()}"],
            },
        }
    ).encode()
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    index = [{"Config": config_name, "RepoTags": [name], "Layers": ["layer.tar"]}]
    with tarfile.open(target, "w") as tar:
        _add(tar, "layer.tar", data)
        _add(tar, config_name, config)
        _add(tar, "manifest.json", json.dumps(index).encode())
    return target


def load(place: Place, archive_file: Path) -> None:
    """Gives the node the images of an archive."""
    command = ["ctr", "-a", str(place.containerd_socket), "-n", "k8s.io", "images"]
    subprocess.run(
        [*command, "import", "--all-platforms", str(archive_file)],
        check=True,
        capture_output=True,
        text=True,
        timeout=_IMPORT_SECONDS,
    )


def load_built(place: Place, *names: str) -> None:
    """Gives the node images that `make images` built."""
    engine = find_engine()
    for name in names:
        with tempfile.TemporaryDirectory(dir=place.root) as folder:
            engine.save(name, Path(folder) / "image.tar")
            load(place, Path(folder) / "image.tar")


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    entry.mode = 0o644
    tar.addfile(entry, io.BytesIO(data))
