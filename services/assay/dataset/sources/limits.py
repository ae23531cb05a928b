"""How long and how much a download may take; apart from the clients, which are slow to import."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from assay.domain.errors import StoreFullError

SPARE_BYTES = 64 * 1024 * 1024
"""What must stay free on the cache's file system beside the download."""

Progress = Callable[[int, int], None]
"""Told bytes done, of how many (0: not known)."""

CACHE_FULL = "make room, or set $ASSAY_CACHE to a larger file system"
"""The cure where the cache does not take it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a download may take. Seconds.

    Attributes:
        connect: to open a connection.
        stall: without a byte.
        total: for the whole file.
        attempts: in a row that bring nothing; then it is given up.
        pause: the first wait between attempts; doubles up to 32 times this.
        longest_pause: the longest wait that a server's Retry-After may ask for.
        connections: at a time, where the server gives ranges.
        piece: bytes of the first range, which small files fit in, and least bytes of the others.
    """

    connect: float = 15.0
    stall: float = 30.0
    total: float = 12 * 3600.0
    attempts: int = 5
    pause: float = 0.5
    longest_pause: float = 60.0
    connections: int = 4
    piece: int = 8 * 1024 * 1024


def check_room(
    attempted: str,
    missing: int,
    folder: Path,
    *,
    spare: int = SPARE_BYTES,
    cure: str = CACHE_FULL,
) -> None:
    """Compares what is still to come with what is free. Blocks.

    Args:
        attempted: what cannot be done where it does not fit, for the message.
        missing: bytes still to come.
        folder: where to.
        spare: bytes that must stay free beside them.
        cure: what helps where it does not fit.

    Raises:
        StoreFullError: it does not fit.
    """
    free = shutil.disk_usage(folder).free
    if missing + spare > free:
        beside = f", {spare} are to stay free" if spare else ""
        raise StoreFullError(
            f"{attempted}: {missing} bytes are still to come{beside} and {free} are free in {folder}",
            cure=cure,
        )
