"""One scorer's claim on one task: the table and the winning records down, files and a result up.

The servicer drives a `ScoringSession`; nothing of it counts before `finish` returns.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath

import msgspec

from assay.aggregator import scores
from assay.aggregator.changes import Changes
from assay.aggregator.judging import JudgeBench
from assay.aggregator.ledger import Place
from assay.aggregator.means import Means
from assay.aggregator.scores import StoredScore
from assay.aggregator.sources import Shelf
from assay.aggregator.tasks import Task
from assay.domain.completion import Completion, Failure
from assay.domain.errors import (
    LeaseLostError,
    PermanentError,
    ScorerError,
    StoreFullError,
)
from assay.domain.identity import canonical_digest
from assay.domain.judge import JudgeAnswer, JudgeRequest, judge_label
from assay.domain.run import Run
from assay.domain.sample import UnscoredReason
from assay.rpc.score_client import ScoreHead, ScoreOutcome, ScorePrediction
from assay.rpc.score_judging import JudgeTerms
from assay.store import keys
from assay.store.segments import Record

TASK_FILES_CAP_BYTES = 2 * 1024 * 1024 * 1024
"""All files of one scoring; they come out of a process that ran foreign code."""
_UPSTREAM = "upstream/"
_TABLES = frozenset({"samples.parquet", "timing.parquet", "judge.parquet"})
_BATCH = 512
_BATCH_CHARACTERS = 1024 * 1024
"""Up to four bytes each: far below the cap of a message, whatever the last one adds."""
_TABLE_PIECE_BYTES = 1024 * 1024
_ROWS_PER_SLOT = 3
"""Rows that wait per judge request in flight: some have their answer on the way."""
_MOST_ROWS = 256
_LANDING_SECONDS = 0.1


class ScoringSession:
    """One claim; `lost` is set when another scorer claims the task."""

    def __init__(
        self,
        means: Means,
        task: Task,
        shelves: Callable[[], Sequence[Shelf]],
        run: Run,
        bench: JudgeBench,
        *,
        changes: Changes,
    ) -> None:
        """Begins a claim on a task that has been inferred, or that a judge can begin with before that.

        Args:
            means: what the aggregator works with.
            task: the task; opened.
            shelves: gives its segments that count, by `Place.source`.
            run: names judge and limit.
            bench: has the judge asked.
            changes: says that something may have landed.
        """
        assert task.opened is not None
        self.task = task
        self.lost = asyncio.Event()
        self._means = means
        self._opened = task.opened
        self._shelves = shelves
        self._changes = changes
        self._early = task.opened.ledger.open_count > 0
        """Whether samples were open when it began."""
        self._run = run
        self._bench = bench
        self._fingerprint = task.fingerprint
        self._predictions_only = task.predictions_only
        self._input = hashlib.sha256()
        self._spool = Path(tempfile.mkdtemp(dir=means.spool))
        self._files: dict[str, None] = {}
        self._bytes = 0

    def head(self) -> ScoreHead:
        """What the task is."""
        manifest = self._opened.prepared.manifest
        return ScoreHead(
            dataset=self.task.id.dataset,
            model=self.task.id.model,
            judge=judge_label(self._run, self.task.id.dataset),
            total=self._opened.ledger.total,
            limit=self._run.limit or 0,
            prepared_digest=manifest.digest,
            predictions_only=self._predictions_only,
            judging=self._terms(),
        )

    def _terms(self) -> JudgeTerms | None:
        """What a scorer is told of the judge; None: it may ask nobody."""
        judge = self._run.judge_model
        if judge is None or not self.task.is_judged:
            return None
        return JudgeTerms(
            model=judge.served_name,
            slots=min(judge.slots * _ROWS_PER_SLOT, _MOST_ROWS),
            settings=json.dumps(dict(judge.settings)) if judge.settings else "",
            early=self._early,
        )

    async def table(self) -> AsyncIterator[tuple[bytes, bool]]:
        """The prepared table in pieces; True beside the last one."""
        manifest = self._opened.prepared.manifest
        key = keys.prepared(manifest.name, manifest.digest, "table.tsv")
        size = await self._means.block(self._means.store.size, key) or 0
        for start in range(0, max(size, 1), _TABLE_PIECE_BYTES):
            piece = await self._means.block(
                self._means.store.get_range, key, start, _TABLE_PIECE_BYTES
            )
            yield piece, start + _TABLE_PIECE_BYTES >= size

    async def predictions(self) -> AsyncIterator[list[ScorePrediction]]:
        """The record that counts for every sample, in dataset order, in batches for one message each."""
        if self._early:
            async for landed in self._landing():
                yield landed
            return
        found = await self._means.block(self._winning_records)
        batch: list[ScorePrediction] = []
        size = 0
        for ordinal in range(self._opened.ledger.total):
            prediction = self._prediction(ordinal, found[ordinal])
            batch.append(prediction)
            size += len(prediction.completion.text or "")
            if len(batch) == _BATCH or size > _BATCH_CHARACTERS:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch

    async def _landing(self) -> AsyncIterator[list[ScorePrediction]]:
        """Records that count, as they land; it ends when every sample has one.

        Raises:
            LeaseLostError: another record counts for a sample now than the one that was sent.
        """
        ledger, sent = self._opened.ledger, dict[int, Place | None]()
        while True:
            version, complete = self._changes.version, not ledger.open_count
            standing = {o: place for o, place, _ in ledger.winners() if ledger.told(o)}
            if any(standing.get(o, place) != place for o, place in sent.items()):
                raise LeaseLostError(
                    f"cannot go on with {self.task.id}: it is outdated"
                )
            fresh = {o: place for o, place in standing.items() if o not in sent}
            for some in _pieces(fresh, _BATCH // 4):
                found = await self._means.block(self._records, some)
                yield [self._as_prediction(o, found[o]) for o in some]
            sent |= fresh
            if complete:
                break
            if self._changes.version == version:
                await self._changes.wait(None)
            # What lands together is read together.
            await asyncio.sleep(_LANDING_SECONDS)
        self._fingerprint = self.task.fingerprint
        records = await self._means.block(self._records, sent)
        for ordinal in range(ledger.total):
            self._input.update(_identity(records[ordinal].completion))

    def _prediction(self, ordinal: int, record: Record) -> ScorePrediction:
        self._input.update(_identity(record.completion))
        return self._as_prediction(ordinal, record)

    def _as_prediction(self, ordinal: int, record: Record) -> ScorePrediction:
        return ScorePrediction(
            ordinal=ordinal,
            sample_id=self._opened.prepared.sample_ids[ordinal],
            completion=record.completion,
            worker_id=record.worker_id,
        )

    def ask(self, request: JudgeRequest) -> asyncio.Future[JudgeAnswer]:
        """Has the judge asked; the answer comes once it is stored.

        Raises:
            PermanentError: nobody is to be asked about this task.
        """
        if self._terms() is None:
            raise PermanentError(
                f"cannot ask a judge about {self.task.id}: rules decide"
            )
        return self._bench.ask(request)

    async def receive(self, path: str, data: bytes) -> None:
        """Takes in one piece of a file.

        Raises:
            PermanentError: a path that leaves the folder, or more bytes than a task may have.
            StoreFullError: no room for it.
        """
        self._check(path, len(data))
        try:
            await self._means.block(_append, self._spool / path, data)
        except OSError as error:
            raise StoreFullError(
                f"cannot take in {path} of {self.task.id}: {error.strerror or error}",
                cure=f"make room on the file system of {self._spool.parent}, then go on",
            ) from error

    async def finish(self, outcome: ScoreOutcome) -> StoredScore:
        """Stores what came in and returns the score.

        Raises:
            LeaseLostError: another scorer has the task, or a sample was asked again meanwhile.
            PermanentError: the counts do not add up to the task's total.
            StoreFullError, StoreUnavailableError: as the store says; claim again later.
        """
        ledger = self._opened.ledger
        self._confirm_current()
        judged = 0 if self._predictions_only else ledger.total - outcome.unscored
        if outcome.scored != judged:
            raise PermanentError(
                f"cannot keep the score of {self.task.id}: {outcome.scored} scored and"
                f" {outcome.unscored} unscored of {ledger.total}"
            )
        score = self._score(outcome)
        await self._means.block(
            scores.keep,
            self._means.store,
            self._means.run_id,
            self.task.id,
            score,
            self._spool,
        )
        # A late answer may have come while it was written.
        self._confirm_current()
        return score

    async def close(self) -> None:
        """Drops what came in."""
        await self._means.block(partial(shutil.rmtree, self._spool, ignore_errors=True))

    def _confirm_current(self) -> None:
        now = self.task.fingerprint, self.task.predictions_only
        if self.lost.is_set() or now != (self._fingerprint, self._predictions_only):
            raise LeaseLostError(
                f"cannot keep the score of {self.task.id}: it is outdated"
            )

    def _score(self, outcome: ScoreOutcome) -> StoredScore:
        manifest = self._opened.prepared.manifest
        digest = canonical_digest(
            {
                "judge": self.task.judge,
                "predictions_only": self._predictions_only,
                "dataset": manifest.digest,
                "input": self._input.hexdigest(),
                "versions": dict(outcome.provenance),
            }
        )
        return StoredScore(
            digest=digest,
            fingerprint=self._fingerprint,
            scored=outcome.scored,
            unscored=outcome.unscored,
            unscored_by_reason=dict(outcome.unscored_by_reason),
            metrics=tuple(outcome.metrics),
            withheld=outcome.withheld,
            provenance=dict(outcome.provenance),
            files=tuple(self._files),
            predictions_only=self._predictions_only,
            exhausted=outcome.exhausted,
            retry_epoch=self.task.retry_epoch,
        )

    def _winning_records(self) -> dict[int, Record]:
        """Reads the admitted segments again and keeps what the ledger says counts."""
        return self._records(
            {o: place for o, place, _ in self._opened.ledger.winners()}
        )

    def _records(self, places: Mapping[int, Place | None]) -> dict[int, Record]:
        """The records that stand there, by sample; None: a sample nobody could be asked about."""
        wanted: dict[Place, int] = {}
        found: dict[int, Record] = {}
        for ordinal, place in places.items():
            if place is None:
                found[ordinal] = self._unsendable(ordinal)
            else:
                wanted[place] = ordinal
        for rank, shelf in enumerate(self._shelves()):
            here = {(p.epoch, p.seq) for p in wanted if p.source == rank}
            for segment in shelf.segments(self._means.store, here):
                for placed in segment.records:
                    place = Place(segment.epoch, segment.seq, placed.offset, rank)
                    if place in wanted:
                        found[wanted.pop(place)] = placed.record
        if wanted:
            raise ScorerError(
                f"cannot score {self.task.id}: {len(wanted)} of its records are gone",
                cure="a segment was removed: go on with the run to ask those samples again",
            )
        whole = self._opened.ledger.whole
        return {o: Record(whole(r.completion), r.worker_id) for o, r in found.items()}

    def _unsendable(self, ordinal: int) -> Record:
        """The record of a sample that could not be asked about: nobody wrote one."""
        why = self._opened.prepared.invalid[ordinal]
        failure = Failure(reason=UnscoredReason.PICTURE_INVALID, message=why[:500])
        return Record(Completion(ordinal=ordinal, failure=failure, attempts=0), "")

    def _check(self, path: str, size: int) -> None:
        name = path.removeprefix(_UPSTREAM)
        flat = name == PurePosixPath(name).name and "\0" not in name
        if not flat or (path == name and path not in _TABLES):
            raise PermanentError(
                f"cannot keep the file {path!r} of a score: no such place"
            )
        self._bytes += size
        if self._bytes > TASK_FILES_CAP_BYTES:
            raise PermanentError(
                f"cannot keep the files of {self.task.id}: more than {TASK_FILES_CAP_BYTES} bytes"
            )
        self._files[path] = None


def _pieces(
    places: Mapping[int, Place | None], size: int
) -> Iterator[dict[int, Place | None]]:
    found = list(places.items())
    for start in range(0, len(found), size):
        yield dict(found[start : start + size])


def _identity(completion: Completion) -> bytes:
    """What of a record can change a score: its answer, or the reason for having none."""
    reason = completion.failure.reason.value if completion.failure else None
    return msgspec.msgpack.encode([completion.ordinal, completion.text, reason])


def _append(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as stream:
        stream.write(data)
