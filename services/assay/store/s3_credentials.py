"""Keys of an object store from a mounted Secret, which may change while a service runs."""

from __future__ import annotations

import threading
from pathlib import Path

from minio.credentials.credentials import Credentials
from minio.credentials.providers import Provider

from assay.domain.errors import ConfigError


class FolderCredentials(Provider):
    """Reads `access-key` and `secret-key`, again whenever they were replaced."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: tuple[float, Credentials] | None = None
        # Protects `_read`: calls come from several threads.
        self._lock = threading.Lock()

    def retrieve(self) -> Credentials:
        """The keys as they are now.

        Raises:
            ConfigError: they cannot be read.
        """
        with self._lock:
            try:
                changed = (self._folder / "secret-key").stat().st_mtime
                if self._read is None or self._read[0] != changed:
                    self._read = (changed, self._fresh())
            except OSError as error:
                raise ConfigError(
                    "store.credentials",
                    f"cannot read {error.filename}: {error.strerror}",
                    "mount a Secret with access-key and secret-key there",
                ) from error
            return self._read[1]

    def _fresh(self) -> Credentials:
        access, secret = (
            (self._folder / name).read_text().strip()
            for name in ("access-key", "secret-key")
        )
        return Credentials(access, secret)
