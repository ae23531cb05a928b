"""md5 and sha256 of a raw file, computed while it streams, and the check against what is expected."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from assay.dataset.sources.resolve import Expected
from assay.domain.errors import DigestMismatchError

CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Digests:
    """What a raw file is: upstream knows md5s, we name things by sha256."""

    md5: str
    sha256: str
    size: int


class Hasher:
    """Both digests at once."""

    def __init__(self) -> None:
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sha256 = hashlib.sha256()
        self.size = 0

    def update(self, data: bytes) -> None:
        """Takes the next bytes."""
        self._md5.update(data)
        self._sha256.update(data)
        self.size += len(data)

    def take_file(self, path: Path, progress: Callable[[int], None]) -> None:
        """Takes a file's bytes; `progress` is told how many there were so far. Blocks.

        Raises:
            OSError: it cannot be read.
        """
        with path.open("rb") as stream:
            while data := stream.read(CHUNK_BYTES):
                self.update(data)
                progress(self.size)

    def digests(self) -> Digests:
        """Of everything so far."""
        return Digests(self._md5.hexdigest(), self._sha256.hexdigest(), self.size)


def hash_file(path: Path, progress: Callable[[int], None]) -> Digests:
    """Reads a file through; `progress` is told the bytes done. Blocks.

    Raises:
        OSError: it cannot be read.
    """
    hasher = Hasher()
    hasher.take_file(path, progress)
    return hasher.digests()


def check(name: str, where: str, found: Digests, expected: Expected, cure: str) -> None:
    """Compares.

    Raises:
        DigestMismatchError: a digest that is expected differs.
    """
    for kind, is_, wanted in (
        ("md5", found.md5, expected.md5),
        ("sha256", found.sha256, expected.sha256),
    ):
        if wanted is not None and is_ != wanted:
            raise DigestMismatchError(
                f"{where} is not the {name} that {expected.origin} expects: {kind} {is_} instead of"
                f" {wanted} ({found.size} bytes)",
                cure=cure,
            )
