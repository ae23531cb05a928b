"""What a process that ended wrote last, for the sentence a person reads."""

from __future__ import annotations

from pathlib import Path

from assay.process import last_words as words

_TAIL_BYTES = 16_384


def last_words(journal: Path, start: int) -> str:
    """The last complaint in `journal` after byte `start`; empty: it holds none."""
    try:
        with journal.open("rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(max(start, size - _TAIL_BYTES))
            text = stream.read().decode(errors="replace")
    except OSError:
        return ""
    return words.last_words(text)
