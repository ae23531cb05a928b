"""Bytes as a person reads them."""

from __future__ import annotations

_STEP = 1000.0


def in_words(count: int) -> str:
    """`999 B`, `1.2 MB`: three digits at most, in powers of 1000."""
    size, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < _STEP or unit == "TB":
            break
        size /= _STEP
    return f"{count} B" if unit == "B" else f"{size:.3g} {unit}"
