"""The judge's queue of one run: scorers ask, judge workers answer, and each request is paid once.

Requests are named by their keys, answers are segments like predictions (`runs/<run>/judge/<digest>/...`):
durable before anybody is told, taken over after a kill. What is only asked is remembered nowhere: a scorer
that comes back asks again for what has no answer.
"""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from assay.aggregator.committer import Committer, Track
from assay.aggregator.judge_ledger import JudgeLedger
from assay.aggregator.ledger import Place
from assay.aggregator.scores import UNJUDGED
from assay.aggregator.takeover import admitted_segments
from assay.domain.completion import Completion
from assay.domain.errors import PermanentError
from assay.domain.judge import (
    JUDGE_QUEUE,
    JudgeAnswer,
    JudgeRequest,
    judge_task,
    ordinal_of,
)
from assay.domain.lease import LeasedSample
from assay.domain.prompt import Prompt, TextPart, Turn
from assay.domain.report import JudgeTally
from assay.domain.task import TaskId
from assay.store import keys

if TYPE_CHECKING:
    from assay.aggregator.runbook import RunBook


class JudgeBench:
    """What scorers of a run ask its judge; without a judge model nobody asks."""

    def __init__(self, book: RunBook) -> None:
        self._book = book
        self.task: TaskId | None = None
        """Names the judge's answers within the run; None: the run has no judge model."""
        self.ledger = JudgeLedger()
        self.committer: Committer | None = None
        self._requests: dict[int, JudgeRequest] = {}
        self._keys: dict[int, str] = {}
        self._waiting: dict[int, list[asyncio.Future[JudgeAnswer]]] = {}

    async def open(self) -> None:
        """Learns what the judge has answered; what is asked and has no answer is handed out.

        Raises:
            StoreUnavailableError, StoreFullError: as the store says.
        """
        book = self._book
        judge = book.pinned.run.judge_model
        if judge is None:
            return
        task = self.task = judge_task(judge)
        ledger, recent = await book.means.block(self._replayed, task)
        ledger.asked = {o for o in self._requests if ledger.is_open(o)}
        self.ledger = ledger
        if recent:
            book.recent.setdefault(JUDGE_QUEUE, set()).update(recent)
        queue = book.queue(JUDGE_QUEUE)
        queue.open_asked(task, self._requests.__contains__, ledger.is_open)
        for ordinal in ledger.asked:
            queue.ask(task, ordinal)
        self.committer = Committer(
            Track(book.means.run_id, task, book.epoch.number),
            ledger,
            store=book.means.store,
            leadership=book.means.leadership,
            executor=book.means.executor,
            committed=self._committed,
        )
        book.write(task, self.committer)
        self._answer([*self._waiting])

    def ask(self, request: JudgeRequest) -> asyncio.Future[JudgeAnswer]:
        """The answer to come; a request that is under way already is not made again.

        Raises:
            PermanentError: the run has no judge, or the key is another request's.
        """
        if self.task is None:
            raise PermanentError("cannot ask a judge: the run has none")
        ordinal = ordinal_of(request.key)
        if self._keys.setdefault(ordinal, request.key) != request.key:
            raise PermanentError(
                f"cannot ask the judge about {request.sample_id}: its request has the number of another's"
            )
        future: asyncio.Future[JudgeAnswer] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(ordinal, []).append(future)
        if not self.ledger.is_open(ordinal):
            self._answer([ordinal])
        elif ordinal not in self.ledger.asked:
            self._requests[ordinal] = request
            self.ledger.asked.add(ordinal)
            self._book.queue(JUDGE_QUEUE).ask(self.task, ordinal)
            self._book.changes.note()
        return future

    def sample(self, ordinal: int) -> LeasedSample:
        """A request as a worker is given it: its body is all there is to say."""
        request = self._requests[ordinal]
        return LeasedSample(
            ordinal=ordinal,
            sample_id=request.sample_id,
            prompt=Prompt((Turn((TextPart(request.body),)),)),
        )

    @property
    def answered_count(self) -> int:
        """Requests that have an answer, a failure for good being one."""
        return self.ledger.found_count

    @property
    def tally(self) -> JudgeTally | None:
        """What the judge has cost in this run; None: it has none."""
        return None if self.task is None else self.ledger.tally

    def drop_unread(self) -> None:
        """Lets the answers that unscored samples rest on count for nothing, durably; blocking.

        Raises:
            StoreUnavailableError, StoreFullError: as the store says.
        """
        if self.task is None:
            return
        means, epoch = self._book.means, self._book.epoch.number
        found: set[int] = set()
        for task in self._book.tasks.values():
            score = task.score
            # A score of another run is gone on from only where the judge failed at nothing.
            if score is None or not score.unjudged or task.scored_in is not None:
                continue
            samples, judged = (
                means.store.get(keys.score(means.run_id, task.id, score.digest, name))
                for name in ("samples.parquet", "judge.parquet")
            )
            found.update(_unread(samples, judged))
        if found:
            document = msgspec.json.encode(sorted(found))
            means.store.put(keys.dropped(means.run_id, self.task, epoch), document)

    def _replayed(self, task: TaskId) -> tuple[JudgeLedger, set[str]]:
        """What was admitted, and the workers that wrote lately. Blocking."""
        book = self._book
        store, now = book.means.store, int(time.time())
        dropped: dict[int, int] = {}
        for key in sorted(store.list(keys.all_dropped(book.means.run_id, task))):
            epoch = keys.sequence_of(key, ".json")
            named = msgspec.json.decode(store.get(key), type=list[int])
            dropped.update(dict.fromkeys(named, epoch))
        ledger, recent = JudgeLedger(book.epoch.retry_epoch, dropped), set[str]()
        counts = book.epoch.admitted.get(task, {})
        for segment in admitted_segments(store, book.means.run_id, task, counts):
            if now - segment.written <= book.means.lease_seconds:
                recent.update(segment.workers)
            for placed in segment.records:
                place = Place(segment.epoch, segment.seq, placed.offset)
                ledger.fold(placed.record.completion, place)
        return ledger, recent

    def _committed(
        self, task: TaskId, settled: Sequence[tuple[Completion, Place]]
    ) -> None:
        ordinals = [completion.ordinal for completion, _ in settled]
        self._book.queue(JUDGE_QUEUE).settle(task, ordinals)
        said = (completion for completion, _ in settled)
        self._book.meters.count(JUDGE_QUEUE, task, said)
        self._answer(ordinals)
        self._book.changes.note()

    def _answer(self, ordinals: Iterable[int]) -> None:
        """Tells those who wait what there is."""
        for ordinal in ordinals:
            said = self.ledger.answer(ordinal)
            if said is None:
                continue
            # Bodies are long, and this one is not sent again.
            self._requests.pop(ordinal, None)
            for future in self._waiting.pop(ordinal, ()):
                if not future.done():
                    key = self._keys[ordinal]
                    future.set_result(
                        JudgeAnswer(key=key, text=said.text, failure=said.failure)
                    )


def _unread(samples: bytes, judged: bytes) -> Iterator[int]:
    """The requests that samples without a readable reply rest on."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - slow, and only a retry needs it

    verdicts = pq.read_table(io.BytesIO(samples), columns=["sample_id", "reason"])
    columns = verdicts.to_pydict()
    unjudged = {
        sample_id
        for sample_id, reason in zip(
            columns["sample_id"], columns["reason"], strict=True
        )
        if reason in UNJUDGED
    }
    asked = pq.read_table(io.BytesIO(judged), columns=["sample_id", "key"]).to_pydict()
    for sample_id, key in zip(asked["sample_id"], asked["key"], strict=True):
        if sample_id in unjudged:
            yield ordinal_of(key)
