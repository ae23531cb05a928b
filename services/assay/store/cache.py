"""What stands in a cache beside its objects: file locks, and tables that came in a bundle.

The locks say who prepares or removes a dataset, and which runs use it; they go with the process that
holds them, however it ends.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from assay.domain.errors import HeldError, StoreFullError

IMPORTED = "imported"
"""Folder for `NAME.tsv` of one's own datasets that came in a bundle; read like `$LMUData`, after it."""


@contextmanager
def using(cache: Path, names: Iterable[str]) -> Iterator[None]:
    """Says that a run uses these datasets, so that nobody removes them meanwhile."""
    with ExitStack() as held:
        for name in sorted(set(names)):
            try:
                descriptor = _opened(cache, f"{name}.use")
            except StoreFullError:
                # A cache that may only be read cannot tell others who reads it.
                continue
            held.callback(os.close, descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield


@contextmanager
def alone(cache: Path, name: str) -> Iterator[None]:
    """Keeps everybody else away from a dataset, or refuses.

    Raises:
        HeldError: somebody prepares it, or a run uses it.
        StoreFullError: the cache cannot be written.
    """
    with ExitStack() as held:
        for kind, what in (("lock", "is being prepared"), ("use", "is used by a run")):
            descriptor = _opened(cache, f"{name}.{kind}")
            held.callback(os.close, descriptor)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise HeldError(
                    f"dataset {name} {what} that goes on now",
                    cure="wait until it has ended, then try again",
                ) from None
        yield


def _opened(cache: Path, file: str) -> int:
    folder = cache / "locks"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        return os.open(folder / file, flags, 0o644)
    except OSError as error:
        raise StoreFullError(
            f"no lock file in {folder}: {error.strerror}",
            cure="make the cache writable, or set $ASSAY_CACHE to another folder",
        ) from error
