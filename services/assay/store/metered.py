"""A store that counts what it is asked: how long each kind of call takes, and what fails.

The services' `main` modules put it around the store they opened.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Histogram

from assay.domain.errors import (
    AssayError,
    NotFoundError,
    StoreFullError,
    StoreUnavailableError,
)
from assay.store.objects import ObjectStore

_OPERATIONS = (
    *("put", "put_file", "get", "get_range"),
    *("size", "list", "folders", "delete"),
)
_SECONDS = (0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0)


class MeteredStore:
    """Another store, and its numbers."""

    def __init__(self, store: ObjectStore, registry: CollectorRegistry) -> None:
        """Counts from now on.

        Args:
            store: what is asked.
            registry: where the numbers show.
        """
        self._store = store
        self._seconds = Histogram(
            "assay_store_seconds",
            "Seconds that calls to the store took, failed ones as well.",
            ["operation"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._errors = Counter(
            "assay_store_errors",
            "Calls to the store that failed; that an object is not there is no failure.",
            ["operation", "reason"],
            registry=registry,
        )
        for operation in _OPERATIONS:
            # From 0 on: of a counter that begins with 1 the first step is not seen.
            for reason in (StoreUnavailableError.reason, StoreFullError.reason):
                self._errors.labels(operation, reason.lower())

    @contextmanager
    def _timed(self, operation: str) -> Iterator[None]:
        start = time.monotonic()
        try:
            yield
        except NotFoundError:
            raise
        except AssayError as error:
            self._errors.labels(operation, error.reason.lower()).inc()
            raise
        finally:
            self._seconds.labels(operation).observe(time.monotonic() - start)

    def put(self, key: str, data: bytes) -> None:
        """As `ObjectStore`."""
        with self._timed("put"):
            self._store.put(key, data)

    def put_file(self, key: str, path: Path) -> None:
        """As `ObjectStore`."""
        with self._timed("put_file"):
            self._store.put_file(key, path)

    def get(self, key: str) -> bytes:
        """As `ObjectStore`."""
        with self._timed("get"):
            return self._store.get(key)

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        """As `ObjectStore`."""
        with self._timed("get_range"):
            return self._store.get_range(key, offset, length)

    def size(self, key: str) -> int | None:
        """As `ObjectStore`."""
        with self._timed("size"):
            return self._store.size(key)

    def list(self, prefix: str) -> Iterator[str]:
        """As `ObjectStore`; whoever takes its time with the keys does not count as the store's."""
        return self._paged("list", self._store.list(prefix))

    def folders(self, prefix: str, after: str = "") -> Iterator[str]:
        """As `ObjectStore`; as `list`."""
        return self._paged("folders", self._store.folders(prefix, after))

    def _paged(self, operation: str, found: Iterator[str]) -> Iterator[str]:
        while True:
            with self._timed(operation):
                name = next(found, None)
            if name is None:
                return
            yield name

    def delete(self, key: str) -> None:
        """As `ObjectStore`."""
        with self._timed("delete"):
            self._store.delete(key)

    def url(self, key: str) -> str:
        """As `ObjectStore`; signed here, so it takes no call."""
        return self._store.url(key)
