"""A segment: one immutable object of committed completions, readable up to where it was torn.

The aggregator writes one per group commit and reads them back at take-over and for scoring. Layout:
magic, then frames of length, crc32 and msgpack; the first frame is the head, the others are records.
Workers are named once in the head, so that a record costs some 40 bytes beside its answer.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from assay.domain.completion import Completion, Failure
from assay.domain.errors import CorruptError
from assay.domain.sample import UnscoredReason

_MAGIC = b"ASG1"
_FRAME = struct.Struct("<II")
_MICRO = 1_000_000
_encoder = msgspec.msgpack.Encoder()


class _Head(msgspec.Struct, array_like=True, frozen=True):
    epoch: int
    seq: int
    written: int
    count: int
    workers: list[str]


class _Row(msgspec.Struct, array_like=True, frozen=True):
    ordinal: int
    turn: int
    text: str | None
    reason: str
    message: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    attempts: int
    latency_micros: int
    history_digest: str
    worker: int


_head_decoder = msgspec.msgpack.Decoder(_Head)
_row_decoder = msgspec.msgpack.Decoder(_Row)


@dataclass(frozen=True, slots=True)
class Record:
    """One completion and who made it."""

    completion: Completion
    worker_id: str


@dataclass(frozen=True, slots=True)
class Placed:
    """A record and the offset of its frame, which names it within its segment."""

    offset: int
    record: Record


@dataclass(frozen=True, slots=True)
class Segment:
    """What could be read of a segment.

    Attributes:
        written: seconds since 1970 of its writer; for heuristics, never for order.
        torn: why reading stopped before the end; empty: it did not.
    """

    epoch: int
    seq: int
    written: int
    workers: tuple[str, ...]
    records: tuple[Placed, ...]
    torn: str = ""


def encode_segment(
    epoch: int, seq: int, written: int, records: Sequence[Record]
) -> tuple[bytes, list[int]]:
    """A segment's bytes, and the offset of each record in them."""
    workers: dict[str, int] = {}
    for record in records:
        workers.setdefault(record.worker_id, len(workers))
    out = bytearray(_MAGIC)
    _append(
        out, _encoder.encode(_Head(epoch, seq, written, len(records), list(workers)))
    )
    offsets = []
    for record in records:
        offsets.append(len(out))
        row = _row_of(record.completion, workers[record.worker_id])
        _append(out, _encoder.encode(row))
    return bytes(out), offsets


def decode_segment(data: bytes, name: str) -> Segment:
    """Reads a segment up to its end or to where it was torn; `torn` says which.

    Args:
        data: the whole object.
        name: its key, for messages.

    Raises:
        CorruptError: not even its head can be read, so nothing of it can be placed.
    """
    frames = _frames(data)
    problem = _bad_magic(data)
    head = None if problem else next(frames, None)
    if not isinstance(head, tuple):
        raise CorruptError(
            f"cannot read segment {name}: {problem or head or 'it is empty'}"
        )
    try:
        told = _head_decoder.decode(head[1])
    except msgspec.MsgspecError as error:
        raise CorruptError(
            f"cannot read the head of segment {name}: {error}"
        ) from error
    placed: list[Placed] = []
    torn = ""
    for frame in frames:
        if isinstance(frame, str):
            torn = frame
            break
        placed.append(Placed(frame[0], _record_of(frame[1], told.workers, name)))
    if not torn and len(placed) < told.count:
        torn = f"cut after record {len(placed)} of {told.count}"
    return Segment(
        told.epoch, told.seq, told.written, tuple(told.workers), tuple(placed), torn
    )


def _append(out: bytearray, body: bytes) -> None:
    out += _FRAME.pack(len(body), zlib.crc32(body))
    out += body


def _bad_magic(data: bytes) -> str:
    return "" if data.startswith(_MAGIC) else "it does not begin as a segment does"


def _frames(data: bytes) -> Iterator[tuple[int, bytes] | str]:
    """Yields (offset, body) of each whole frame; a string, last, when the rest is torn."""
    position = len(_MAGIC)
    while position < len(data):
        start = position + _FRAME.size
        if start > len(data):
            yield f"cut inside the frame at byte {position}"
            return
        length, checksum = _FRAME.unpack_from(data, position)
        body = data[start : start + length]
        if len(body) < length:
            yield f"cut inside the record at byte {position}"
            return
        if zlib.crc32(body) != checksum:
            yield f"wrong checksum at byte {position}"
            return
        yield position, body
        position = start + length


def _row_of(completion: Completion, worker: int) -> _Row:
    failure = completion.failure
    return _Row(
        completion.ordinal,
        completion.turn,
        completion.text,
        failure.reason.value if failure else "",
        failure.message if failure else "",
        completion.finish_reason,
        completion.prompt_tokens,
        completion.completion_tokens,
        completion.attempts,
        round(completion.latency * _MICRO),
        completion.history_digest,
        worker,
    )


def _record_of(body: bytes, workers: Sequence[str], name: str) -> Record:
    # The checksum was right: what does not fit here was written by something else than this format.
    try:
        row = _row_decoder.decode(body)
        completion = Completion(
            ordinal=row.ordinal,
            turn=row.turn,
            text=row.text,
            failure=Failure(reason=UnscoredReason(row.reason), message=row.message)
            if row.text is None
            else None,
            finish_reason=row.finish_reason,
            prompt_tokens=row.prompt_tokens,
            completion_tokens=row.completion_tokens,
            attempts=row.attempts,
            latency=row.latency_micros / _MICRO,
            history_digest=row.history_digest,
        )
        return Record(completion, workers[row.worker])
    except (msgspec.MsgspecError, ValueError, IndexError) as error:
        raise CorruptError(
            f"cannot understand a record of segment {name}: {error}",
            cure="it was written by another version: go on with that one",
        ) from error
