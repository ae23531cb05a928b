"""What a process that ended said last, read out of its log; drivers quote it to people."""

from __future__ import annotations

import json
from collections.abc import Iterator

LONGEST = 500


def last_words(log: str) -> str:
    """The last complaint in a log of ours; empty: it holds none.

    A complaint is a JSON log line of level error or above, a line `error: ...`, or, where there is
    neither, the last line of a traceback.
    """
    return next(_complaints(log.splitlines()), "")[:LONGEST]


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
