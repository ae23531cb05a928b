"""What a process that ended wrote last, for the sentence a person reads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

_TAIL_BYTES = 16_384
_LONGEST = 500


def last_words(journal: Path, start: int) -> str:
    """The last complaint in `journal` after byte `start`; empty: it holds none.

    A complaint is a JSON log line of level error or above, a line `error: ...`, or, where there is
    neither, the last line of a traceback.
    """
    try:
        with journal.open("rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(max(start, size - _TAIL_BYTES))
            lines = stream.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return next(_complaints(lines), "")[:_LONGEST]


def _complaints(lines: list[str]) -> Iterator[str]:
    for line in reversed(lines):
        if line.startswith("{"):
            yield from _of_event(line)
        elif line.startswith("error: "):
            yield line.removeprefix("error: ")
        elif ": " in line and line[:1].isalpha() and line.split(":")[0].isidentifier():
            yield line


def _of_event(line: str) -> Iterator[str]:
    try:
        event = json.loads(line)
    except ValueError:
        return
    if not isinstance(event, dict) or event.get("level") not in {"error", "critical"}:
        return
    parts = [event.get("event"), event.get("error"), event.get("cure")]
    yield ": ".join(part for part in parts if isinstance(part, str) and part)
