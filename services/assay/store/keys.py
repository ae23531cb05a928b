"""The layout of the store: the only place that knows where anything stands.

blobs/sha256/<aa>/<digest>                              raw sources
datasets/<name>/<prepared digest>/...                   prepared datasets; manifest.json is written last
datasets/<name>/sources/<request digest>.json           which raw source a request led to
runs/<run_id>/asked                                     what a local driver was asked for
runs/<run_id>/spec.json                                 the resolved spec
runs/<run_id>/state.json                                how the run stands: going on, ended, closed, cancelled
runs/<run_id>/epochs/<epoch>.json                       what an aggregator admitted when it took over
runs/<run_id>/tasks/<model>/<dataset>/task.json         the pinned dataset digest
runs/<run_id>/tasks/<model>/<dataset>/completions/<epoch>/<seq>.seg
runs/<run_id>/tasks/<model>/<dataset>/score/<score digest>/...
runs/<run_id>/judge/<judge digest>/completions/<epoch>/<seq>.seg
runs/<run_id>/judge/<judge digest>/dropped/<epoch>.json answers that nobody could read, up to that epoch
runs/<run_id>/results/...                               report.json, samples/, <model>/, logs/
"""

from __future__ import annotations

from assay.domain.errors import CorruptError, PermanentError
from assay.domain.judge import JUDGE_QUEUE
from assay.domain.task import TaskId

# How many names a key has at least, by the first.
_LEAST = {"blobs": 2, "datasets": 2, "runs": 3}


def parts_of(key: str, least: int | None = None) -> tuple[str, ...]:
    """The names a key is made of.

    Args:
        key: a key, or the folder that a listing begins in.
        least: how many names there must be; None: as many as an object has.

    Raises:
        PermanentError: it leaves the store, or is no place of it.
    """
    parts = tuple(key.split("/"))
    if any(part in {"", ".", ".."} or "\0" in part for part in parts):
        raise PermanentError(f"cannot place object {key!r}: its key leaves the store")
    if len(parts) < (least or _LEAST.get(parts[0], 0)) or parts[0] not in _LEAST:
        raise PermanentError(f"cannot place object {key!r}: no such part of the store")
    return parts


def blob(digest: str) -> str:
    """A raw source by its sha256."""
    return f"blobs/sha256/{digest[:2]}/{digest}"


def prepared(name: str, digest: str, part: str = "") -> str:
    """A part of a prepared dataset (`manifest.json`, `packs/00000.pack`, ...), or its prefix."""
    return f"datasets/{name}/{digest}/{part}"


def source(name: str, request_digest: str) -> str:
    """What was found when a dataset was last fetched from where `request_digest` says."""
    return f"datasets/{name}/sources/{request_digest}.json"


def spec(run_id: str) -> str:
    """The resolved spec of a run."""
    return f"runs/{run_id}/spec.json"


def state(run_id: str) -> str:
    """How a run stands."""
    return f"runs/{run_id}/state.json"


def runs() -> str:
    """Prefix of all runs."""
    return "runs/"


def asked(run_id: str) -> str:
    """The spec digest of a run that was asked for, until it is accepted (then `spec` says it)."""
    return f"runs/{run_id}/asked"


def epochs(run_id: str) -> str:
    """Prefix of the epoch files of a run."""
    return f"runs/{run_id}/epochs/"


def epoch(run_id: str, number: int) -> str:
    """What the aggregator of this epoch admitted. Zero-padded: keys sort as numbers do."""
    return f"{epochs(run_id)}{number:08d}.json"


def tasks(run_id: str) -> str:
    """Prefix of everything that the tasks of a run keep."""
    return f"runs/{run_id}/tasks/"


def task(run_id: str, task_id: TaskId, part: str) -> str:
    """A part of a task's own state; a judge's answers belong to the run as a whole."""
    if task_id.model == JUDGE_QUEUE:
        return f"runs/{run_id}/judge/{task_id.dataset}/{part}"
    return f"runs/{run_id}/tasks/{task_id.model}/{task_id.dataset}/{part}"


def segment(run_id: str, task_id: TaskId, epoch_number: int, seq: int) -> str:
    """One immutable segment of completions."""
    return f"{segments(run_id, task_id, epoch_number)}{seq:08d}.seg"


def segments(run_id: str, task_id: TaskId, epoch_number: int) -> str:
    """Prefix of all segments of one epoch."""
    return task(run_id, task_id, f"completions/{epoch_number:08d}/")


def all_dropped(run_id: str, judge: TaskId) -> str:
    """Prefix of what says which of a judge's answers count for nothing."""
    return task(run_id, judge, "dropped/")


def dropped(run_id: str, judge: TaskId, epoch_number: int) -> str:
    """The judge's answers that count for nothing up to an epoch."""
    return f"{all_dropped(run_id, judge)}{epoch_number:08d}.json"


def sequence_of(key: str, ending: str = ".seg") -> int:
    """The sequence number in a segment's key.

    Raises:
        CorruptError: the key is no segment's.
    """
    name = key.rpartition("/")[2]
    number = name.removesuffix(ending)
    if not number.isdecimal() or number == name:
        raise CorruptError(
            f"{key} stands among the segments and is none",
            cure="take the file away",
        )
    return int(number)


def score(run_id: str, task_id: TaskId, score_digest: str, part: str) -> str:
    """A part of one scoring of a task."""
    return task(run_id, task_id, f"score/{score_digest}/{part}")


def result(run_id: str, part: str) -> str:
    """A file of the folder that a person opens."""
    return f"runs/{run_id}/results/{part}"
