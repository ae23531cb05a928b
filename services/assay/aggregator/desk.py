"""What happens to samples: handed out, kept alive, taken in; and tasks handed to scorers.

The servicers translate WorkService and ScoreService to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import structlog

from assay.aggregator.committer import Committer
from assay.aggregator.leases import Granted, LeaseBook
from assay.aggregator.opening import publish_score
from assay.aggregator.runbook import RunBook
from assay.aggregator.scoring import ScoringSession
from assay.domain.completion import Completion
from assay.domain.errors import (
    NotFoundError,
    PermanentError,
    StoreFullError,
    UnavailableError,
)
from assay.domain.lease import (
    CommitOutcome,
    EndpointCondition,
    ExtendGrant,
    HeldLease,
    Lease,
    LeasedSample,
    LeaseExtension,
    LeaseGrant,
    QueueState,
)
from assay.domain.prompt import Part, PicturePart, Prompt, Turn
from assay.domain.task import TaskId, TaskState
from assay.rpc.score_client import ScoreOutcome
from assay.store.objects import ObjectStore
from assay.store.prepared import PreparedDataset

LONGEST_WAIT_SECONDS = 30.0
"""The most a lease call waits for work."""
_SHORTEST_WAIT_SECONDS = 0.01
MOST_PROMPT_BYTES = 8 * 1024 * 1024
"""Prompts of one answer: half of what a message may hold."""
_PICTURE_REF_BYTES = 100

_log = structlog.get_logger(__name__)


class WorkDesk:
    """Hands samples of one run to workers."""

    def __init__(self, book: RunBook) -> None:
        self._book = book
        self._count = 0

    async def lease(
        self, queue: str, worker: str, capacity: int, wait: float
    ) -> LeaseGrant:
        """Hands out samples, waiting up to `wait` seconds for a first one.

        Raises:
            NotFoundError: no such queue.
            UnavailableError: going away.
            StoreUnavailableError: the prompts cannot be read now.
        """
        clock = self._book.means.clock
        until = clock() + min(wait, LONGEST_WAIT_SECONDS)
        while True:
            work, now = self._queue(queue), clock()
            state = self._book.queue_state(queue)
            room = capacity if state is QueueState.OPEN else 0
            granted = work.lease(worker, room, self._new_id)
            if granted or state is not QueueState.OPEN or now >= until:
                break
            change = work.next_change()
            pause = min(until, change if change is not None else until) - now
            await self._book.changes.wait(max(_SHORTEST_WAIT_SECONDS, pause))
        leases = await self._filled(granted, work)
        if granted:
            self._book.changes.note()
        return LeaseGrant(
            leases=tuple(leases),
            in_flight_limit=work.limit(worker),
            state=state,
        )

    async def extend(
        self,
        queue: str,
        worker: str,
        held: Sequence[HeldLease],
        endpoint: EndpointCondition | None,
    ) -> ExtendGrant:
        """Keeps leases alive and takes in what the worker sees of its endpoint.

        Raises:
            NotFoundError: no such queue.
            UnavailableError: going away.
        """
        work, now = self._queue(queue), self._book.means.clock()
        kept = work.extend(worker, held)
        # Others may ask at once what this worker has let go.
        work.shrink(worker, held)
        seconds = self._book.means.lease_seconds
        answers = [
            LeaseExtension(lease_id=lease.lease_id, held=ok, expires=seconds * ok)
            for lease, ok in zip(held, kept, strict=True)
        ]
        if endpoint is not None:
            self._book.boards[queue].tell(worker, endpoint, now)
        self._book.changes.note()
        return ExtendGrant(
            leases=tuple(answers),
            in_flight_limit=work.limit(worker),
            state=self._book.queue_state(queue),
        )

    async def commit(
        self, task_id: TaskId, worker: str, completions: Sequence[Completion]
    ) -> list[CommitOutcome]:
        """Returns when the completions are durable; says of each whether it counts.

        Raises:
            NotFoundError: no such open task.
            NotLeaderError, UnavailableError: not durable, or not known to be; send them again.
            StoreFullError: the store is full; keep them and send them again.
        """
        committer = self._committer(task_id)
        self._book.queue(task_id.model).see(worker)
        try:
            outcomes = await committer.commit(worker, completions)
        except StoreFullError as error:
            self._book.suffer(str(error))
            raise
        self._book.suffer("")
        self._take_back(task_id, worker, completions, outcomes)
        return outcomes

    def _take_back(
        self,
        task_id: TaskId,
        worker: str,
        completions: Sequence[Completion],
        outcomes: Sequence[CommitOutcome],
    ) -> None:
        """Hands conversations out again that a worker does not go on with, since another's answer counts."""
        task = self._book.tasks.get(task_id)
        for said, outcome in zip(completions, outcomes, strict=True):
            lost = outcome is CommitOutcome.LOST and task is not None and task.opened
            if lost and lost.ledger.is_open(said.ordinal):
                self._book.queue(task_id.model).let_go(worker, task_id, said.ordinal)

    async def release(self, worker: str, leases: Sequence[str]) -> None:
        """Takes samples back at once, in whatever queue they are."""
        for name in self._book.boards:
            self._book.queue(name).release(worker, leases)
        self._book.changes.note()

    def _committer(self, task_id: TaskId) -> Committer:
        bench = self._book.bench
        if bench.committer is not None and task_id == bench.task:
            return bench.committer
        opened = self._book.task(task_id).opened
        if opened is None:
            raise NotFoundError(
                f"cannot commit to {task_id}: its dataset is not attached"
            )
        return opened.committer

    def _queue(self, name: str) -> LeaseBook:
        _ = self._book.pinned
        if self._book.stopping:
            raise UnavailableError("cannot hand out work: going away")
        if name not in self._book.boards:
            raise NotFoundError(
                f"cannot find queue {name}: no model of the run has that key"
            )
        return self._book.queue(name)

    def _new_id(self) -> str:
        """Names the epoch that gave the lease, so that none is ever given twice."""
        self._count += 1
        return f"e{self._book.epoch.number}-{self._count}"

    async def _filled(self, granted: Sequence[Granted], work: LeaseBook) -> list[Lease]:
        """Grants with their prompts; what cannot be read, or does not fit, nobody holds."""
        leases: list[Lease] = []
        room = MOST_PROMPT_BYTES
        for grant in granted:
            try:
                samples, room = await self._samples(grant, room)
            except BaseException:
                for unsent in granted:
                    work.give_back(unsent.lease_id, unsent.ordinals)
                raise
            if len(samples) < len(grant.ordinals):
                work.give_back(grant.lease_id, grant.ordinals[len(samples) :])
            if samples:
                leases.append(
                    Lease(
                        lease_id=grant.lease_id,
                        task=grant.task,
                        expires=self._book.means.lease_seconds,
                        samples=samples,
                    )
                )
        return leases

    async def _samples(
        self, grant: Granted, room: int
    ) -> tuple[tuple[LeasedSample, ...], int]:
        if grant.task == self._book.bench.task:
            return _fitting(map(self._book.bench.sample, grant.ordinals), room)
        opened = self._book.task(grant.task).opened
        assert opened is not None
        means = self._book.means
        histories = {o: opened.ledger.history(o) for o in grant.ordinals}
        return await means.block(
            _samples, opened.prepared, means.store, histories, room
        )


class ScoreDesk:
    """Hands tasks of one run to scorers."""

    def __init__(self, book: RunBook) -> None:
        self._book = book
        self._sessions: dict[TaskId, ScoringSession] = {}

    def claim(self, task_id: TaskId) -> ScoringSession:
        """Gives a task to a scorer; a former one loses it.

        Raises:
            NotFoundError: no such task.
            PermanentError: it is not there to be scored now.
        """
        task = self._book.task(task_id)
        opened = task.opened
        if self._book.standing.dropped:
            raise PermanentError(
                f"cannot score {task_id}: the run is {self._book.standing.state.value}"
            )
        early = task.is_judged and task.state is TaskState.INFERRING
        scorable = opened is not None and (early or not opened.ledger.open_count)
        if not scorable or task.score is not None:
            raise PermanentError(
                f"cannot score {task_id}: it is {task.state.value}",
                cure="start a scorer when every sample has an answer or a reason",
            )
        former = self._sessions.get(task_id)
        if former is not None:
            former.lost.set()
        session = ScoringSession(
            self._book.means,
            task,
            lambda: self._book.shelves_of(task),
            self._book.pinned.run,
            self._book.bench,
            changes=self._book.changes,
        )
        self._sessions[task_id] = session
        task.scorers += 1
        self._book.changes.note()
        return session

    def dismiss(self) -> None:
        """Ends every claim: the scorers are to go."""
        for session in self._sessions.values():
            session.lost.set()

    async def scored(self, session: ScoringSession, outcome: ScoreOutcome) -> str:
        """Keeps a score; returns its digest.

        Raises:
            LeaseLostError: another scorer has the task.
            PermanentError: the result does not fit the task.
            StoreFullError, StoreUnavailableError: as the store says.
        """
        score = await session.finish(outcome)
        session.task.score, session.task.scored_in = score, None
        digest = score.digest
        await publish_score(self._book, session.task)
        self._book.changes.note()
        _log.info("task scored", task=str(session.task.id), score_digest=digest)
        return digest

    def failed(self, session: ScoringSession, message: str) -> None:
        """Notes that a task cannot be scored."""
        session.task.failure = message
        self._book.changes.note()
        _log.error("cannot score", task=str(session.task.id), message=message)

    async def unclaim(self, session: ScoringSession) -> None:
        """Ends a claim, however it went."""
        session.task.scorers -= 1
        if self._sessions.get(session.task.id) is session:
            del self._sessions[session.task.id]
        self._book.changes.note()
        await session.close()


def _samples(
    prepared: PreparedDataset,
    store: ObjectStore,
    histories: Mapping[int, tuple[str, ...]],
    room: int,
) -> tuple[tuple[LeasedSample, ...], int]:
    """The first of these samples whose prompts fit into `room` bytes, and the room that is left.

    A message takes its first prompt whatever its size: it would never be sent otherwise.
    """
    found = (
        LeasedSample(
            ordinal=ordinal,
            sample_id=prepared.sample_ids[ordinal],
            prompt=_addressed(prepared.prompt(ordinal), store),
            turn=len(history),
            history=history,
        )
        for ordinal, history in histories.items()
    )
    return _fitting(found, room)


def _fitting(
    found: Iterable[LeasedSample], room: int
) -> tuple[tuple[LeasedSample, ...], int]:
    samples: list[LeasedSample] = []
    for sample in found:
        size = _size(sample.prompt) + sum(len(a.encode()) for a in sample.history)
        if size > room and (samples or room < MOST_PROMPT_BYTES):
            return tuple(samples), 0
        room -= size
        samples.append(sample)
    return tuple(samples), room


def _size(prompt: Prompt) -> int:
    """About as many bytes as the prompt takes in a message."""
    return sum(
        _PICTURE_REF_BYTES + len(part.url)
        if isinstance(part, PicturePart)
        else len(part.text.encode())
        for turn in prompt.turns
        for part in turn.parts
    ) + (len(prompt.row.cells.encode()) if prompt.row else 0)


def _addressed(prompt: Prompt, store: ObjectStore) -> Prompt:
    """The prompt with the address of every picture's pack, which a worker can open."""

    def picture(part: PicturePart) -> PicturePart:
        return replace(part, url=store.url(part.key))

    def address(part: Part) -> Part:
        return picture(part) if isinstance(part, PicturePart) else part

    row = prompt.row
    if row is not None:
        row = replace(row, pictures=tuple(map(picture, row.pictures)))
    turns = tuple(Turn(tuple(map(address, t.parts))) for t in prompt.turns)
    return Prompt(turns, row)
