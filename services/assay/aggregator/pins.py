"""What a run is held to from its first moment on: its spec, its datasets, whose answers it goes on from.

Everything here blocks.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from assay.aggregator.means import Means
from assay.domain.errors import ConflictError, CorruptError, NotFoundError
from assay.domain.judge import judge_task
from assay.domain.task import TaskId
from assay.store import keys
from assay.store.spec import PinnedSpec, decode_pinned, encode_pinned


@dataclass(frozen=True, slots=True)
class Source:
    """A task of a former execution whose answers a task goes on from."""

    run_id: str
    task: TaskId


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedTask:
    """What `task.json` holds.

    Attributes:
        prepared_digest: of the dataset it is held to.
        sources: in the order in which their records count; more may be added behind, none goes.
    """

    prepared_digest: str
    sources: tuple[Source, ...] = ()


def read_spec(means: Means) -> PinnedSpec | None:
    """What the run was accepted as; None: it was not.

    Raises:
        CorruptError: it cannot be read.
    """
    key = keys.spec(means.run_id)
    try:
        return decode_pinned(means.store.get(key), key)
    except NotFoundError:
        return None


def pin_spec(means: Means, pinned: PinnedSpec) -> None:
    """Writes down what the run is accepted as."""
    means.store.put(keys.spec(means.run_id), encode_pinned(pinned))


def read_task(means: Means, task_id: TaskId) -> PinnedTask | None:
    """What a task is held to; None: nothing yet.

    Raises:
        CorruptError: it cannot be read.
    """
    key = _key(means, task_id)
    try:
        return msgspec.json.decode(means.store.get(key), type=PinnedTask)
    except NotFoundError:
        return None
    except msgspec.MsgspecError as error:
        raise CorruptError(
            f"cannot read {key}: {error}",
            cure="restore it from a copy, or start a new run",
        ) from error


def pin_task(means: Means, task_id: TaskId, pinned: PinnedTask) -> None:
    """Holds a task to a prepared dataset and to whom it goes on from; again is no error.

    Raises:
        ConflictError: it is held to another dataset.
    """
    present = read_task(means, task_id)
    digest = pinned.prepared_digest
    if present is not None and present.prepared_digest != digest:
        raise dataset_changed(task_id, present.prepared_digest, digest)
    if present != pinned:
        means.store.put(_key(means, task_id), msgspec.json.encode(pinned))


def dataset_changed(task_id: TaskId, present: str, other: str) -> ConflictError:
    """The error of a dataset that is not the one its task began with."""
    return ConflictError(
        f"cannot go on with {task_id}: its dataset was {present[:12]} and is {other[:12]} now",
        cure="start a new run, or bring back the dataset's file it was started with",
    )


def _key(means: Means, task_id: TaskId) -> str:
    return keys.task(means.run_id, task_id, "task.json")


def all_ids(pinned: PinnedSpec | None) -> list[TaskId]:
    """Whatever of a run has segments: its tasks, and its judge."""
    judge = pinned.run.judge_model if pinned else None
    return [*task_ids(pinned), *([judge_task(judge)] if judge else [])]


def task_ids(pinned: PinnedSpec | None) -> list[TaskId]:
    """The tasks of a run: every model on every dataset; none before it is accepted."""
    if pinned is None:
        return []
    run = pinned.run
    return [
        TaskId(model.key, dataset.name)
        for model in run.models
        for dataset in run.datasets
    ]
