"""Encodes the pictures of a dataset and packs them; each kept once, in order of first use.

`prepare.py` calls it last, in the sealed child. Pillow lets go of the interpreter while it works, so
two threads do the codec's work, unless pictures are so small that handing them over would cost more; the
packs are written in order whatever finishes first.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from assay.domain import prepared as fmt
from assay.domain.prepared import StoredPicture
from assay.domain.run import PicturePolicy
from assay.vlmevalkit.pictures import PictureError, picture_file, wire_picture
from assay.vlmevalkit.prepare_table import Spool

_THREADS = 2
_AHEAD = 8
"""Pictures encoded ahead of the one that is written: bounds the memory."""

_SMALL_BYTES = 64 * 1024
"""Sources up to this are encoded where they are met: at 256² two threads took a fifth more CPU and saved a
seventh of the time."""

_NO_PICTURE = StoredPicture("0" * 64, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Slot:
    """A picture as prompts name it: which spooled one, through which file of upstream's."""

    spooled: int
    extension: str


@dataclass(slots=True)
class PackWriter:
    """Writes packs of at most `fmt.PACK_BYTES` below `folder`."""

    folder: Path
    limit: int = fmt.PACK_BYTES
    parts: dict[str, int] = field(default_factory=dict)
    _kept: dict[str, StoredPicture] = field(default_factory=dict)
    _stream: BinaryIO | None = None
    _offset: int = 0

    def add(self, data: bytes) -> StoredPicture:
        """Keeps a picture; one of equal bytes that is kept already stands for it."""
        digest = hashlib.sha256(data).hexdigest()
        if digest in self._kept:
            return self._kept[digest]
        if self._stream is None or self._offset + len(data) > self.limit:
            self._next()
        assert self._stream is not None
        self._stream.write(data)
        stored = StoredPicture(digest, len(self.parts) - 1, self._offset, len(data))
        self._kept[digest] = stored
        self._offset += len(data)
        self.parts[fmt.pack_name(stored.pack)] = self._offset
        return stored

    def close(self) -> int:
        """Ends the last pack; returns how many pictures there are."""
        if self._stream is not None:
            self._stream.close()
        return len(self._kept)

    def _next(self) -> None:
        self.close()
        path = self.folder / fmt.pack_name(len(self.parts))
        path.parent.mkdir(exist_ok=True)
        self._stream = path.open("xb")
        self._offset = 0
        self.parts[fmt.pack_name(len(self.parts))] = 0


def write_pictures(
    slots: Sequence[Slot],
    spool: Spool,
    policy: PicturePolicy,
    *,
    writer: PackWriter,
    records: BinaryIO,
    done: Callable[[int], None],
) -> dict[int, str]:
    """Encodes every slot into packs and its record; returns why, for those that cannot be sent."""
    refused: dict[int, str] = {}
    for number, outcome in enumerate(_encoded(slots, spool, policy)):
        try:
            stored = writer.add(outcome.result())
        except PictureError as error:
            refused[number] = str(error)
            stored = _NO_PICTURE
        records.write(fmt.encode_picture(stored))
        done(number)
    return refused


def _encoded(
    slots: Sequence[Slot], spool: Spool, policy: PicturePolicy
) -> Iterator[Future[bytes]]:
    def encode(slot: Slot) -> bytes:
        raw = spool.read(slot.spooled)
        if policy.files:
            return picture_file(raw, slot.extension)
        return wire_picture(raw, slot.extension, policy)

    with ThreadPoolExecutor(_THREADS, thread_name_prefix="codec") as pool:
        pending: deque[Future[bytes]] = deque()
        for slot in slots:
            if not pending and spool.size(slot.spooled) <= _SMALL_BYTES:
                yield _at_once(encode, slot)
                continue
            pending.append(pool.submit(encode, slot))
            if len(pending) >= _AHEAD:
                yield pending.popleft()
        while pending:
            yield pending.popleft()


def _at_once(encode: Callable[[Slot], bytes], slot: Slot) -> Future[bytes]:
    outcome: Future[bytes] = Future()
    try:
        outcome.set_result(encode(slot))
    except PictureError as error:
        outcome.set_exception(error)
    return outcome
