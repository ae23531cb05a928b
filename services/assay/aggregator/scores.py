"""Scores as they are kept: files under the score's digest, then one document that makes them a set.

`scoring` receives a scorer's files and calls `keep`; the service calls `find` when it opens a task that
may have been scored before, and `publish` puts a score where a person looks for it. All of it blocks.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from assay.aggregator.ledger import Ledger
from assay.domain.errors import CorruptError, NotFoundError
from assay.domain.sample import UnscoredReason
from assay.domain.score import Metric
from assay.domain.task import TaskId
from assay.store import keys
from assay.store.objects import ObjectStore

_CURRENT = "score.json"
_DOCUMENT = "metrics.json"
_UPSTREAM = "upstream/"
_TABLES = {
    "samples.parquet": ".parquet",
    "timing.parquet": ".timing.parquet",
    "judge.parquet": ".judge.parquet",
}
UNJUDGED = frozenset({UnscoredReason.JUDGE_FAILED, UnscoredReason.JUDGE_UNPARSEABLE})
"""Reasons that lie in what a judge said: asking it again may help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredScore:
    """What `metrics.json` of one scoring holds.

    Attributes:
        fingerprint: of the records it was computed from, see `fingerprint_of`.
        files: paths within the score's folder.
        withheld: why there are no metrics; empty: there are, or nothing is to be scored.
        predictions_only: nothing was to be scored: it holds the answers and their tables.
        exhausted: scored samples whose judge replies cannot be read and that upstream scores all the same.
        retry_epoch: the last retry before it was computed; 0: there was none.
    """

    digest: str
    fingerprint: str
    scored: int
    unscored: int
    unscored_by_reason: Mapping[UnscoredReason, int]
    metrics: tuple[Metric, ...]
    withheld: str
    provenance: Mapping[str, str]
    files: tuple[str, ...]
    predictions_only: bool = False
    exhausted: int = 0
    retry_epoch: int = 0

    @property
    def unjudged(self) -> bool:
        """Whether a sample has no verdict for what the judge said."""
        return any(self.unscored_by_reason.get(reason) for reason in UNJUDGED)

    def published(self, task: TaskId, *, withheld: bool) -> tuple[str, ...]:
        """Where upstream's files stand in the run's folder; none while the score is withheld."""
        if withheld:
            return ()
        return tuple(
            f"{task.model}/{file.removeprefix(_UPSTREAM)}"
            for file in self.files
            if file.startswith(_UPSTREAM)
        )


class _Current(msgspec.Struct):
    digest: str
    fingerprint: str


def fingerprint_of(ledger: Ledger, judge: str, runs: Sequence[str] = ("",)) -> str:
    """Differs whenever another record counts for some sample, or somebody else judges.

    Args:
        ledger: says which records count.
        judge: who judges.
        runs: as `Ledger.digest` takes them.
    """
    return hashlib.sha256(f"{judge}\0{ledger.digest(runs)}".encode()).hexdigest()


def keep(
    store: ObjectStore,
    run_id: str,
    task: TaskId,
    score: StoredScore,
    folder: Path,
) -> None:
    """Stores a score's files from `folder`, then what makes them a set, then names it the present one.

    Raises:
        StoreFullError, StoreUnavailableError: as the store says; keep it again.
    """
    for file in score.files:
        _put_copy(store, keys.score(run_id, task, score.digest, file), folder / file)
    store.put(
        keys.score(run_id, task, score.digest, _DOCUMENT),
        msgspec.json.format(msgspec.json.encode(score), indent=1),
    )
    store.put(
        keys.task(run_id, task, _CURRENT),
        msgspec.json.encode(_Current(score.digest, score.fingerprint)),
    )


def find(
    store: ObjectStore, run_id: str, task: TaskId, fingerprint: str
) -> StoredScore | None:
    """The present score, if it was computed from exactly the records that count now.

    Args:
        store: holds it.
        run_id: its run.
        task: its task.
        fingerprint: of those records; empty: of whichever records it was.

    Raises:
        CorruptError: it cannot be read.
    """
    key = keys.task(run_id, task, _CURRENT)
    try:
        current = msgspec.json.decode(store.get(key), type=_Current)
        if fingerprint and current.fingerprint != fingerprint:
            return None
        key = keys.score(run_id, task, current.digest, _DOCUMENT)
        return msgspec.json.decode(store.get(key), type=StoredScore)
    except NotFoundError:
        return None
    except msgspec.MsgspecError as error:
        raise CorruptError(
            f"cannot read the score {key}: {error}",
            cure="delete that file: the task is scored again from its predictions",
        ) from error


def publish(
    store: ObjectStore,
    run_id: str,
    task: TaskId,
    score: StoredScore,
    *,
    kept_in: str,
    withheld: bool,
) -> None:
    """Copies a score to where a person looks for it; upstream's score files only if it is not withheld.

    Args:
        store: holds it.
        run_id: the run to show it in.
        task: the task, there and where it is kept.
        score: the score.
        kept_in: the run it is kept in.
        withheld: whether no figure is shown.

    Raises:
        StoreFullError, StoreUnavailableError: as the store says; publish it again.
    """
    for file, ending in _TABLES.items():
        if file in score.files:
            data = store.get(keys.score(kept_in, task, score.digest, file))
            store.put(keys.result(run_id, f"samples/{task}{ending}"), data)
    for target in score.published(task, withheld=withheld):
        name = target.removeprefix(f"{task.model}/")
        source = keys.score(kept_in, task, score.digest, _UPSTREAM + name)
        store.put(keys.result(run_id, target), store.get(source))


def _put_copy(store: ObjectStore, key: str, path: Path) -> None:
    """Stores a file and leaves it where it is: the same files may have to be stored again."""
    copy = path.with_name(path.name + ".copy")
    shutil.copyfile(path, copy)
    try:
        store.put_file(key, copy)
    finally:
        copy.unlink(missing_ok=True)
