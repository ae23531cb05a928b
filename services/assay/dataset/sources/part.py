"""The part of a file that has come, on disk, so that a killed download goes on where it was.

`http.py` fills it, span by span, from several connections. Beside the file stands a journal: what the
server called this version of the file, how it is divided, and after every write how far each span is,
with a checksum. Bytes whose checksum does not fit (a crash of the machine loses writes in any order)
are fetched again.
"""

from __future__ import annotations

import json
import os
import threading
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

_MAX_SPANS = 256
_READ_BYTES = 1024 * 1024


@dataclass(slots=True)
class Span:
    """A range of the file that one request brings.

    Attributes:
        end: the first byte after it; None: wherever the server ends.
        done: how many of its bytes have come.
        crc: of those.
    """

    number: int
    start: int
    end: int | None
    done: int = 0
    crc: int = 0

    @property
    def missing(self) -> int | None:
        """Bytes still to come; None: not known."""
        return None if self.end is None else self.end - self.start - self.done


class Part:
    """A file that is coming. All methods block; safe to use from several threads."""

    def __init__(self, target: Path) -> None:
        """Opens what an earlier process left there, or nothing.

        Raises:
            OSError: the folder cannot be used.
        """
        self.path = target
        self.validator = ""
        self.total = 0
        self.spans: Sequence[Span] = ()
        self._journal_path = target.with_name(f"{target.name}.journal")
        self._file = -1
        self._journal = -1
        # Held by whoever uses the descriptors: a write whose caller was cancelled goes on in its thread.
        self._lock = threading.RLock()
        target.parent.mkdir(parents=True, exist_ok=True)
        if self._read_journal():
            self._open(os.O_APPEND)
            self._check_spans()
        else:
            self.forget()

    @property
    def received(self) -> int:
        """Bytes that are here."""
        return sum(span.done for span in self.spans)

    @property
    def missing(self) -> list[Span]:
        """Spans that are not whole, in order."""
        return [span for span in self.spans if span.missing != 0]

    def begin(self, *, validator: str, total: int, piece: int) -> None:
        """Divides a file that can be fetched in ranges; nothing of it is here yet.

        Args:
            validator: what the server calls this version of it.
            total: its bytes.
            piece: bytes of the first span, and least bytes of the others.

        Raises:
            OSError: it cannot be written.
        """
        rest = max(piece, -(-total // _MAX_SPANS))
        edges = [0, *range(min(piece, total), total, rest), total]
        head = {"validator": validator, "total": total, "edges": edges[:-1]}
        with self._lock:
            self.forget()
            self._open(os.O_TRUNC)
            os.write(self._journal, json.dumps(head).encode() + b"\n")
            self.validator, self.total = validator, total
            self.spans = _divided(edges)

    def begin_whole(self, total: int) -> Span:
        """One span, without a journal: of a file that the server gives only from its start.

        Raises:
            OSError: it cannot be written.
        """
        span = Span(0, 0, total or None)
        with self._lock:
            self.forget()
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            self._file = os.open(self.path, flags, 0o644)
            self.total, self.spans = total, (span,)
        return span

    def take(self, span: Span, data: bytes) -> None:
        """Writes the next bytes of a span; of a span that is no longer one, nothing.

        Raises:
            OSError: they cannot be written.
        """
        with self._lock:
            if self._file < 0 or not any(each is span for each in self.spans):
                return
            offset, view = span.start + span.done, memoryview(data)
            while view:
                written = os.pwrite(self._file, view, offset)
                offset, view = offset + written, view[written:]
            span.crc = zlib.crc32(data, span.crc)
            span.done += len(data)
            if self._journal >= 0:
                line = f"{span.number} {span.done} {span.crc}\n"
                os.write(self._journal, line.encode())

    def forget(self) -> None:
        """Takes everything away that has come."""
        with self._lock:
            self.close()
            self.validator, self.total, self.spans = "", 0, ()
            self._journal_path.unlink(missing_ok=True)
            self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Leaves it for a later process."""
        with self._lock:
            for descriptor in (self._file, self._journal):
                if descriptor >= 0:
                    os.close(descriptor)
            self._file = self._journal = -1

    def finish(self) -> None:
        """The file is whole: only it stays."""
        self.close()
        self._journal_path.unlink(missing_ok=True)

    def _open(self, mode: int) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        self._file = os.open(self.path, flags, 0o644)
        self._journal = os.open(self._journal_path, flags | os.O_APPEND | mode, 0o644)

    def _read_journal(self) -> bool:
        try:
            head, *lines = self._journal_path.read_bytes().split(b"\n")
            document = json.loads(head)
            self.validator = str(document["validator"])
            self.total = int(document["total"])
            edges = [int(edge) for edge in document["edges"]] + [self.total]
            self.spans = _divided(edges)
            # What follows the last line break was not written to its end.
            for line in lines[:-1]:
                number, done, crc = map(int, line.split())
                span = self.spans[number]
                span.done, span.crc = done, crc
        except (OSError, ValueError, KeyError, TypeError, IndexError):
            return False
        return bool(self.validator)

    def _check_spans(self) -> None:
        for span in self.spans:
            whole = span.end is not None and span.done <= span.end - span.start
            if not whole or self._crc(span) != span.crc:
                span.done = span.crc = 0

    def _crc(self, span: Span) -> int:
        crc, offset, left = 0, span.start, span.done
        while left:
            data = os.pread(self._file, min(left, _READ_BYTES), offset)
            if not data:
                return -1
            crc = zlib.crc32(data, crc)
            offset, left = offset + len(data), left - len(data)
        return crc


def _divided(edges: Sequence[int]) -> list[Span]:
    return [Span(number, *ends) for number, ends in enumerate(pairwise(edges))]
