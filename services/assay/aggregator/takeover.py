"""Taking over a run: which segments count, decided once and written down before anything is served.

S3 does not fence: a former holder that was stopped inside a PUT may finish it at any later moment. So
its successor, once nobody can acknowledge under the former claim any more, reads every segment that is
there, names them in its epoch file, and what is not named there is void for ever. Blocking; called at
start in a thread, and again when failed samples are to be asked again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import structlog

from assay.domain.errors import CorruptError, NotFoundError
from assay.domain.task import TaskId
from assay.store import keys
from assay.store.objects import ObjectStore
from assay.store.segments import Segment, decode_segment

Admitted = dict[TaskId, dict[int, int]]
"""Task -> epoch -> how many of its segments count, from seq 0 on: segments are dense."""


class _EpochFile(msgspec.Struct, kw_only=True):
    schema: str = "assay.epoch/v1"
    epoch: int
    holder: str
    retry: bool = False
    admitted: dict[str, dict[int, int]]


EPOCHS_OF_ONE_CLAIM = 1_000
"""Retries that one holder may begin before its numbers could meet its successor's."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """One incarnation: its number, what it admitted, and which one was the last retry (0: none)."""

    number: int
    admitted: Admitted
    retry_epoch: int


def begin_epoch(
    store: ObjectStore,
    run_id: str,
    tasks: Sequence[TaskId],
    *,
    transitions: int,
    holder: str,
    retry: bool = False,
) -> Epoch:
    """Admits what former epochs wrote and writes the new epoch's file.

    Args:
        store: holds the run.
        run_id: the run.
        tasks: all of its tasks; none before it was first opened.
        transitions: of the claim: numbers of one claim are above those of every former one, so that a
            stopped holder's epoch file, written late, never stands where a successor's does.
        holder: who takes over, for people.
        retry: errors of all former epochs count for nothing from now on.

    Raises:
        CorruptError: an epoch file cannot be read.
        StoreUnavailableError, StoreFullError: as the store says; nothing has changed.
    """
    former = _read_epochs(store, run_id)
    claimed = transitions * EPOCHS_OF_ONE_CLAIM
    number = max([claimed, *(file.epoch for file in former)]) + 1
    admitted = _admit(store, run_id, tasks, former)
    retried = [file.epoch for file in former if file.retry]
    if retry:
        retried.append(number)
    file = _EpochFile(
        epoch=number,
        holder=holder,
        retry=retry,
        admitted={str(task): counts for task, counts in sorted(admitted.items())},
    )
    store.put(keys.epoch(run_id, number), msgspec.json.encode(file))
    return Epoch(number, admitted, max(retried, default=0))


def admitted_segments(
    store: ObjectStore,
    run_id: str,
    task: TaskId,
    counts: Mapping[int, int],
    only: Collection[tuple[int, int]] | None = None,
) -> Iterator[Segment]:
    """The segments of a task that count, oldest first; `only` those of these epochs and numbers.

    A torn one yields what stands before the tear, and one that cannot be read nothing: both are logged,
    and their samples are asked again.
    """
    for epoch, count in sorted(counts.items()):
        for seq in range(count):
            if only is not None and (epoch, seq) not in only:
                continue
            segment = _read_segment(store, keys.segment(run_id, task, epoch, seq))
            if segment is not None:
                yield segment


def _read_segment(store: ObjectStore, key: str) -> Segment | None:
    log = structlog.get_logger(__name__)
    try:
        segment = decode_segment(store.get(key), key)
    except (CorruptError, NotFoundError) as error:
        log.warning("segment lost: asked again", key=key, error=str(error))
        return None
    if segment.torn:
        log.warning("segment torn: the rest is asked again", key=key, torn=segment.torn)
    return segment


def _read_epochs(store: ObjectStore, run_id: str) -> list[_EpochFile]:
    files = []
    for key in store.list(keys.epochs(run_id)):
        try:
            files.append(msgspec.json.decode(store.get(key), type=_EpochFile))
        except msgspec.MsgspecError as error:
            raise CorruptError(
                f"cannot read the epoch file {key}: {error}",
                cure="restore it from a copy, or start a new run",
            ) from error
    return sorted(files, key=lambda file: file.epoch)


def _admit(
    store: ObjectStore,
    run_id: str,
    tasks: Sequence[TaskId],
    former: Sequence[_EpochFile],
) -> Admitted:
    """What the last epoch admitted, and the segments that it wrote itself."""
    if not former:
        return {}
    last = former[-1]
    admitted: Admitted = {
        _task_id(name): dict(counts) for name, counts in last.admitted.items()
    }
    for task in tasks:
        count = _written(store, run_id, task, last.epoch)
        if count:
            admitted.setdefault(task, {})[last.epoch] = count
    return admitted


def _written(store: ObjectStore, run_id: str, task: TaskId, epoch: int) -> int:
    """How many segments the epoch's holder wrote.

    One PUT is in flight at a time, so what stands after a gap was acknowledged, and somebody has taken
    the missing one away: only its answers are lost.
    """
    dense = 0
    while store.size(keys.segment(run_id, task, epoch, dense)) is not None:
        dense += 1
    listed = list(store.list(keys.segments(run_id, task, epoch)))
    last = max(map(keys.sequence_of, listed), default=-1)
    if last >= dense:
        structlog.get_logger(__name__).warning(
            "a segment is missing: its answers are asked again",
            key=keys.segment(run_id, task, epoch, dense),
            later=last - dense,
        )
    return max(dense, last + 1)


def _task_id(name: str) -> TaskId:
    model, _, dataset = name.partition("/")
    return TaskId(model, dataset)
