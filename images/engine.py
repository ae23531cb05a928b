"""What builds images on this machine: buildah, podman, or docker with a daemon that answers."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_BUILD_SECONDS = 1800
_CALL_SECONDS = 600


@dataclass(frozen=True)
class Engine:
    """A program that builds images; the three are alike but for their first words."""

    program: str
    build_words: tuple[str, ...]
    prefix: tuple[str, ...] = ()

    def build(
        self,
        file: Path,
        context: Path,
        name: str,
        *,
        target: str = "",
        arguments: Mapping[str, str] | None = None,
    ) -> None:
        """Builds one image; its steps have no network."""
        command = [*self.prefix, self.program, *self.build_words]
        command += ["-f", str(file), "-t", name]
        command += ["--target", target] if target else []
        for key, value in (arguments or {}).items():
            command += ["--build-arg", f"{key}={value}"]
        self._call([*command, str(context)], _BUILD_SECONDS)

    def fetch(self, name: str) -> None:
        """Brings an image from its registry, unless it is there: a build's steps could not."""
        if not self.has(name):
            self._call([self.program, "pull", name])

    def has(self, name: str) -> bool:
        """Whether the image is there."""
        command = [self.program, "inspect", name]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def size(self, name: str) -> int:
        """Bytes of the unpacked image."""
        if self.program == "buildah":
            words = ["inspect", "--type", "image", "--format", "{{.FromImageID}}", name]
            image = self._call([self.program, *words]).strip()
            mounted = self._call([self.program, "from", "--pull-never", image]).strip()
            try:
                folder = self._call([self.program, "mount", mounted]).strip()
                used = self._call(["du", "-sxb", "--apparent-size", folder])
                return int(used.split()[0])
            finally:
                self._call([self.program, "rm", mounted])
        words = ["image", "inspect", "--format", "{{.Size}}", name]
        return int(self._call([self.program, *words]))

    def save(self, name: str, archive: Path) -> None:
        """Writes the image to an archive."""
        if self.program == "buildah":
            self._call([self.program, "push", name, f"docker-archive:{archive}:{name}"])
        else:
            self._call([self.program, "save", "-o", str(archive), name])

    def push(self, name: str) -> None:
        """Sends the image to its registry."""
        self._call([self.program, "push", name])

    def remove(self, name: str) -> None:
        """Forgets the image."""
        self._call([self.program, "rmi", name])

    def _call(self, command: Sequence[str], seconds: float = _CALL_SECONDS) -> str:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds, check=False
        )
        if done.returncode:
            said = (done.stdout + done.stderr)[-3000:]
            raise SystemExit(f"error: {' '.join(command[:8])} … failed:\n{said}")
        return done.stdout


def find_engine() -> Engine:
    """The first of the three that works here."""
    if shutil.which("buildah"):
        # Steps run in the builder's own network: as root an empty one, made for it.
        empty = ("unshare", "--net") if os.geteuid() == 0 else ()
        words = ("bud", "--isolation", "chroot", "--layers", "--pull-never")
        return Engine("buildah", words, empty)
    if shutil.which("podman"):
        return Engine("podman", ("build", "--network", "none"))
    if shutil.which("docker"):
        alive = subprocess.run(["docker", "info"], capture_output=True, check=False)
        if alive.returncode == 0:
            return Engine("docker", ("build", "--network", "none"))
    raise SystemExit(
        "error: nothing here builds images: install buildah or podman, or start docker"
    )
