"""What a run is held to from its first moment on: its spec, and the digest of every dataset. Blocking."""

from __future__ import annotations

import msgspec

from assay.aggregator.means import Means
from assay.domain.errors import ConflictError, CorruptError, NotFoundError
from assay.domain.task import TaskId
from assay.store import keys
from assay.store.spec import PinnedSpec, decode_pinned, encode_pinned


class _PinnedDataset(msgspec.Struct):
    prepared_digest: str


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


def dataset_of(means: Means, task_id: TaskId) -> str:
    """The digest of the prepared dataset a task is held to; empty: none yet.

    Raises:
        CorruptError: it cannot be read.
    """
    key = _key(means, task_id)
    try:
        data = means.store.get(key)
        return msgspec.json.decode(data, type=_PinnedDataset).prepared_digest
    except NotFoundError:
        return ""
    except msgspec.MsgspecError as error:
        raise CorruptError(
            f"cannot read {key}: {error}",
            cure="restore it from a copy, or start a new run",
        ) from error


def pin_dataset(means: Means, task_id: TaskId, digest: str) -> None:
    """Holds a task to a prepared dataset; again to the same one is no error.

    Raises:
        ConflictError: it is held to another one.
    """
    present = dataset_of(means, task_id)
    if present and present != digest:
        raise dataset_changed(task_id, present, digest)
    if not present:
        data = msgspec.json.encode(_PinnedDataset(digest))
        means.store.put(_key(means, task_id), data)


def dataset_changed(task_id: TaskId, present: str, other: str) -> ConflictError:
    """The error of a dataset that is not the one its task began with."""
    return ConflictError(
        f"cannot go on with {task_id}: its dataset was {present[:12]} and is {other[:12]} now",
        cure="start a new run, or bring back the dataset's file it was started with",
    )


def _key(means: Means, task_id: TaskId) -> str:
    return keys.task(means.run_id, task_id, "task.json")


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
