"""From a process's config to who it is when it calls, and whom it believes when it is called."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from assay.domain.errors import UnavailableError
from assay.process.contract import ProcessConfig, ServerConfig
from assay.rpc.callers import Authenticator, Role, SharedToken, TokenSource

REREAD_SECONDS = 10.0
"""The kubelet replaces a projected token minutes before it expires."""


class TokenFile:
    """A token that somebody else keeps fresh in a file."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._token = ""
        self._read = float("-inf")

    def __call__(self) -> str:
        """The token as it stands in the file, at most `REREAD_SECONDS` ago.

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


def token_source(config: ProcessConfig) -> TokenSource:
    """What a process proves itself with."""
    if config.token_file is not None:
        return TokenFile(config.token_file)
    token = config.token.get_secret_value()
    return lambda: token


def authenticator(config: ServerConfig) -> Authenticator:
    """Whom a server believes: its own token's holders, or the cluster's service accounts."""
    callers = config.callers
    if callers is None:
        return SharedToken(config.token.get_secret_value())
    from assay.rpc.cluster_tokens import (  # noqa: PLC0415 - needless on one machine
        ClusterKeys,
        ServiceAccountTokens,
    )

    keys = ClusterKeys(callers.keys_url, token_source(config), callers.ca_file)
    return ServiceAccountTokens(
        keys,
        issuer=callers.issuer,
        platform=callers.platform,
        accounts={Role(role): subject for role, subject in callers.accounts.items()},
    )
