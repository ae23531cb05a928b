"""Builds the container images: `make images` calls it, and so does the cluster test.

Wheels are fetched and checked against the locks' hashes out here, so that no step of a build needs a
network, and none has one. Where no registry can be reached, BASE=local makes the base image from Debian's
packages.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from images.engine import Engine, find_engine

ROOT = Path(__file__).parents[1]
CACHE = (
    Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "assay-images"
)
_PACKAGES = "python3,python3-venv,ca-certificates"
_LEFT_OUT = (
    "var/cache/apt/*",
    "var/lib/apt/lists/*",
    "var/log/*",
    "usr/share/doc/*",
    "usr/share/man/*",
    "usr/share/locale/*",
    "usr/lib/*/gconv/*",
)
_RECIPE = hashlib.sha256(repr((_PACKAGES, _LEFT_OUT)).encode()).hexdigest()[:12]
LOCAL_BASE = f"localhost/assay-base:bookworm-{_RECIPE}"
_EXAMPLE = Path("examples/digits")
_WHEEL_SECONDS = 1200
_BOOTSTRAP_SECONDS = 900


class Image(NamedTuple):
    """One image: its name, the file and the stage it is built from, and the locks of its wheels."""

    name: str
    file: str
    target: str
    wheels: str


LOCKS = {
    "worker": ("worker",),
    "control": ("runtime", "vlmeval"),
    "digits": ("digits",),
}
_WITHOUT_US = {"digits"}
"""Only an engine stands there."""

IMAGES = (
    Image("worker", "Dockerfile.infer", "worker", "worker"),
    Image("judge", "Dockerfile.judge", "worker", "worker"),
    Image("control", "Dockerfile.control", "control", "control"),
    Image("scorer", "Dockerfile.control", "scorer", "control"),
    Image("digits", "examples/digits/Dockerfile", "digits", "digits"),
)
TORCH = Image("torch", "Dockerfile.infer", "torch", "worker")
"""Built on demand: which torch, for which cards, is its user's choice, and gigabytes."""


def wheelhouse(locks: Sequence[str]) -> Path:
    """A folder with the wheels of the locks, each checked against its hash; made once per content."""
    files = [ROOT / "requirements" / f"{lock}.txt" for lock in locks]
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files))
    folder = CACHE / f"wheels-{digest.hexdigest()[:16]}"
    if not folder.is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE, prefix=".fetching-") as parts:
            for file in files:
                _pip("--require-hashes", "-r", str(file), "-w", f"{parts}/made")
            Path(parts, "made").rename(folder)
    return folder


def context(
    folder: Path, images: Sequence[Image], torch_wheels: Path | None = None
) -> None:
    """Lays out what the Dockerfiles copy."""
    if torch_wheels is not None:
        shutil.copytree(torch_wheels, folder / "wheels" / "torch")
    (folder / "images").mkdir()
    shutil.copy2(ROOT / "images" / "warm_up.py", folder / "images")
    (folder / _EXAMPLE).mkdir(parents=True)
    for source in sorted((ROOT / _EXAMPLE).glob("*.py")):
        shutil.copy2(source, folder / _EXAMPLE)
    for wheels in {image.wheels for image in images}:
        target = folder / "wheels" / wheels
        shutil.copytree(wheelhouse(LOCKS[wheels]), target)
        if wheels not in _WITHOUT_US:
            _pip("--no-index", str(ROOT), "-w", str(target))


def local_base(engine: Engine) -> str:
    """Makes the base image from Debian's packages, unless it is there."""
    if engine.has(LOCAL_BASE):
        return LOCAL_BASE
    if shutil.which("debootstrap") is None:
        raise SystemExit(
            "error: BASE=local needs debootstrap: apt-get install debootstrap"
        )
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "root"
        command = ["debootstrap", "--variant=minbase", f"--include={_PACKAGES}"]
        _run([*command, "bookworm", str(root)], _BOOTSTRAP_SECONDS)
        for pattern in _LEFT_OUT:
            for path in root.glob(pattern):
                _remove(path)
        _run(["tar", "-C", str(root), "-cf", f"{folder}/base.tar", "."], 300)
        shutil.rmtree(root)
        Path(folder, "Dockerfile").write_text("FROM scratch\nADD base.tar /\n")
        engine.build(Path(folder, "Dockerfile"), Path(folder), LOCAL_BASE)
    return LOCAL_BASE


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def build_all(
    engine: Engine,
    images: Sequence[Image],
    base: str,
    named: Callable[[Image], str],
    torch_wheels: Path | None = None,
) -> None:
    """Builds images, and says of each how big it is and how long that took."""
    with tempfile.TemporaryDirectory(prefix="assay-images-") as folder:
        context(Path(folder), images, torch_wheels)
        for image in images:
            start = time.monotonic()
            name = named(image)
            engine.build(
                ROOT / image.file,
                Path(folder),
                name,
                target=image.target,
                arguments={"BASE_IMAGE": base},
            )
            seconds = time.monotonic() - start
            size = engine.size(name) / 1_000_000
            sys.stdout.write(f"{name}: {size:.0f} MB ({seconds:.0f} s)\n")
            sys.stdout.flush()


def _pip(*words: str) -> None:
    # What is no wheel yet is made one with the setuptools that is installed here, not with a fetched one.
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--disable-pip-version-check",
    ]
    _run([*command, "--no-deps", "--no-build-isolation", *words], _WHEEL_SECONDS)


def _run(command: Sequence[str], seconds: float) -> None:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=seconds, check=False
    )
    if done.returncode:
        said = (done.stderr or done.stdout)[-3000:]
        raise SystemExit(f"error: {' '.join(command[:4])} failed:\n{said}")


def version() -> str:
    """What images are tagged with."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return str(project["version"])


def main() -> None:
    """Reads the command line, builds, and pushes where asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="which images; none: all")
    parser.add_argument(
        "--base", default="python:3.11-slim-bookworm", help="base image, or `local`"
    )
    parser.add_argument("--registry", default="localhost/assay", help="name's front")
    parser.add_argument("--tag", default=version())
    parser.add_argument("--push", action="store_true")
    parser.add_argument(
        "--torch-wheels",
        type=Path,
        help="a folder with the wheels of torch and of what runs on it; builds `torch` as well",
    )
    options = parser.parse_args()
    known = {image.name: image for image in IMAGES}
    if unknown := set(options.names) - set(known):
        parser.error(f"no image {', '.join(sorted(unknown))}: {', '.join(known)}")
    images = [known[name] for name in options.names or known]
    images += [TORCH] if options.torch_wheels else []
    engine = find_engine()
    if options.base == "local":
        base = local_base(engine)
    else:
        base = options.base
        engine.fetch(base)

    def named(image: Image) -> str:
        return f"{options.registry}/{image.name}:{options.tag}"

    build_all(engine, images, base, named, options.torch_wheels)
    for image in images if options.push else ():
        engine.push(named(image))


if __name__ == "__main__":
    main()
