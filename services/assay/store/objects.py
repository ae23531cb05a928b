"""Objects by key: one interface, a folder here, S3 elsewhere.

All calls block; services make them in named threads. `put` is atomic and durable when it returns:
a reader sees the whole object or none, and a crash after the return does not lose it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol


class ObjectStore(Protocol):
    """What every store can do.

    Raises (all methods):
        StoreUnavailableError: it did not answer; try again.
        StoreFullError: no space, or this caller may not: only somebody's doing helps.
    """

    def put(self, key: str, data: bytes) -> None:
        """Writes an object, whole and durable, over whatever was there."""
        ...

    def put_file(self, key: str, path: Path) -> None:
        """Writes an object from a file of the caller's, which may be moved away by it."""
        ...

    def get(self, key: str) -> bytes:
        """Reads a whole object.

        Raises:
            NotFoundError: there is none.
        """
        ...

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        """Reads `length` bytes from `offset`; fewer where the object ends.

        Raises:
            NotFoundError: there is none.
        """
        ...

    def size(self, key: str) -> int | None:
        """Bytes of an object; None: there is none."""
        ...

    def list(self, prefix: str) -> Iterator[str]:
        """Keys that start with `prefix`, in order. Completeness is never derived from this alone."""
        ...

    def folders(self, prefix: str, after: str = "") -> Iterator[str]:
        """Names directly below `prefix` (it ends with /) that have something below them, in key order.

        Args:
            prefix: where to look.
            after: begin behind this name.
        """
        ...

    def delete(self, key: str) -> None:
        """Removes an object; none there is no error."""
        ...

    def url(self, key: str) -> str:
        """What a worker opens to read the object: file:// or a presigned address."""
        ...
