"""A token that somebody else keeps fresh in a file; callers of our services and of the API server read it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from assay.domain.errors import UnavailableError

REREAD_SECONDS = 10.0
"""The kubelet replaces a projected token minutes before it expires."""


class TokenFile:
    """Gives the token as it stood in the file at most `REREAD_SECONDS` ago."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._token = ""
        self._read = float("-inf")

    def __call__(self) -> str:
        """The token.

        Raises:
            UnavailableError: the file cannot be read.
        """
        now = self._clock()
        if now - self._read >= REREAD_SECONDS:
            try:
                self._token = self._path.read_text().strip()
            except OSError as error:
                raise UnavailableError(
                    f"cannot read the token in {self._path}: {error.strerror}"
                ) from error
            self._read = now
        return self._token

    def read_again(self) -> str:
        """The token as it stands in the file now.

        Raises:
            UnavailableError: the file cannot be read.
        """
        self._read = float("-inf")
        return self()
