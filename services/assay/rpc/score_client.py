"""The scorer's side of ScoreService: one claim, its input down, files and a result up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc

from assay.domain.completion import Completion
from assay.domain.errors import UnavailableError
from assay.domain.judge import JudgeAnswer, JudgeRequest
from assay.domain.sample import UnscoredReason
from assay.domain.score import Metric
from assay.domain.task import TaskId
from assay.rpc.convert import completion_from_proto, reason_to_proto, task_id_to_proto
from assay.rpc.score_judging import (
    AnswerDesk,
    JudgeTerms,
    answer_from_proto,
    request_to_proto,
    terms_from_proto,
)
from assay.rpc.status import error_of
from assay.v1 import score_pb2, score_pb2_grpc

CHUNK_BYTES = 1024 * 1024
"""The most that one piece of a file may hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreHead:
    """What a claimed task is.

    Attributes:
        judge: `exact_matching` or the judge's name.
        total: rows of the task.
        limit: the first N rows of the dataset; 0: all.
        predictions_only: nothing is to be scored, only tables and the prediction file are wanted.
        judging: a judge model decides where rules cannot; None: rules decide alone.
    """

    dataset: str
    model: str
    judge: str
    total: int
    limit: int
    prepared_digest: str
    predictions_only: bool = False
    judging: JudgeTerms | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScorePrediction:
    """The winning record of one sample, and who made it (empty: no request was made)."""

    ordinal: int
    sample_id: str
    completion: Completion
    worker_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreOutcome:
    """What a scorer hands in, besides files.

    Attributes:
        exhausted: scored samples whose judge replies cannot be read and that upstream scores all the same.
    """

    scored: int
    unscored: int
    unscored_by_reason: Mapping[UnscoredReason, int] = field(default_factory=dict)
    metrics: Sequence[Metric] = ()
    withheld: str = ""
    provenance: Mapping[str, str] = field(default_factory=dict)
    exhausted: int = 0


class ScoreSession:
    """One claim; a failure of any of its calls ends it, and nothing of it has been stored."""

    def __init__(self, call: Any, task: TaskId) -> None:
        self._call = call
        self._task = task
        self._answers = AnswerDesk(self._read)
        # gRPC takes one message of a stream at a time, and several rows may ask.
        self._writing = asyncio.Lock()

    async def head(self) -> ScoreHead:
        """The first thing the aggregator answers.

        Raises:
            NotFoundError: no such run or task.
            PermanentError: the task is not to be scored now.
            LeaseLostError: another scorer claimed it.
            UnavailableError: the aggregator is away; claim again.
        """
        message = await self._expect("input_head")
        head = message.input_head
        return ScoreHead(
            dataset=head.dataset,
            model=head.model,
            judge=head.judge,
            total=head.total,
            limit=head.limit,
            prepared_digest=head.prepared_digest,
            predictions_only=head.predictions_only,
            judging=terms_from_proto(head.judging)
            if head.HasField("judging")
            else None,
        )

    async def inputs(self) -> AsyncIterator[bytes | ScorePrediction | JudgeAnswer]:
        """Pieces of the table, then predictions and known judge answers, to the end of the input.

        Raises:
            AssayError: as `head`.
        """
        while True:
            message = await self._read()
            step = message.WhichOneof("step")
            if step == "input_end":
                self._answers.open()
                return
            if step == "table_chunk":
                yield message.table_chunk.data
            elif step == "predictions":
                for prediction in message.predictions.predictions:
                    yield _prediction(prediction)
            elif step == "judge_answer":
                self._answers.deliver(message.judge_answer)
            elif step == "known_answers":
                for answer in message.known_answers.answers:
                    yield answer_from_proto(answer)
            else:
                raise UnavailableError(f"the aggregator sent {step} within the input")

    async def ask(self, request: JudgeRequest) -> JudgeAnswer:
        """Has the judge asked, and waits for its answer; only with `judging`.

        Before the input has ended answers come as it is read.

        Raises:
            AssayError: as `head`.
        """
        future = self._answers.expect(request.key)
        message = request_to_proto(request)
        await self._write(score_pb2.ScoreRequest(judge_request=message))
        return await future

    async def send_file(self, path: str, pieces: Iterable[bytes]) -> None:
        """Sends one file; `pieces` are at most `CHUNK_BYTES` long each.

        Raises:
            AssayError: as `head`.
        """
        previous = b""
        first = True
        for piece in pieces:
            if not first:
                await self._send_piece(path, previous, last=False)
            previous, first = piece, False
        await self._send_piece(path, previous, last=True)

    async def finish(self, outcome: ScoreOutcome) -> str:
        """Hands the result in; returns the score's digest once everything is stored.

        Raises:
            AssayError: as `head`.
        """
        await self._write(score_pb2.ScoreRequest(result=_result(outcome)))
        return await self._stored()

    async def fail(self, reason: str, message: str) -> None:
        """Says that the task cannot be scored; returns once that is stored.

        Raises:
            AssayError: as `head`.
        """
        failure = score_pb2.ScoreFailure(reason=reason, message=message)
        await self._write(score_pb2.ScoreRequest(failure=failure))
        await self._stored()

    async def _stored(self) -> str:
        try:
            await self._call.done_writing()
        except grpc.RpcError as error:
            raise error_of(error, self._attempted) from error
        return str((await self._expect("stored")).stored.score_digest)

    async def _send_piece(self, path: str, data: bytes, *, last: bool) -> None:
        chunk = score_pb2.FileChunk(path=path, data=data, last=last)
        await self._write(score_pb2.ScoreRequest(file_chunk=chunk))

    async def _expect(self, step: str) -> score_pb2.ScoreResponse:
        message = await self._answers.next()
        found = message.WhichOneof("step")
        if found != step:
            raise UnavailableError(f"the aggregator sent {found} instead of {step}")
        return message

    async def _read(self) -> score_pb2.ScoreResponse:
        try:
            message = await self._call.read()
        except grpc.RpcError as error:
            raise error_of(error, self._attempted) from error
        if message is grpc.aio.EOF:
            raise UnavailableError(f"{self._attempted}: the stream ended early")
        assert isinstance(message, score_pb2.ScoreResponse)
        return message

    async def _write(self, request: score_pb2.ScoreRequest) -> None:
        try:
            async with self._writing:
                await self._call.write(request)
        except grpc.RpcError as error:
            raise error_of(error, self._attempted) from error

    @property
    def _attempted(self) -> str:
        return f"score {self._task}"


class ScoreClient:
    """Claims one task of one run for scoring."""

    def __init__(self, channel: grpc.aio.Channel, *, run_id: str, task: TaskId) -> None:
        self._stub = score_pb2_grpc.ScoreServiceStub(channel)
        self._run_id = run_id
        self._task = task

    @asynccontextmanager
    async def claim(self, timeout: float) -> AsyncIterator[ScoreSession]:  # noqa: ASYNC109 - gRPC's own
        """Claims the task; the stream lasts `timeout` seconds at most, and no longer than the block.

        Raises:
            AssayError: as `ScoreSession.head`.
        """
        call = self._stub.Score(timeout=timeout)
        session = ScoreSession(call, self._task)
        claim = score_pb2.ScoreClaim(
            run_id=self._run_id, task=task_id_to_proto(self._task)
        )
        try:
            await session._write(score_pb2.ScoreRequest(claim=claim))  # noqa: SLF001 - its opening move
            yield session
        finally:
            call.cancel()
            await session._answers.close()  # noqa: SLF001 - its last


def _prediction(message: score_pb2.Prediction) -> ScorePrediction:
    return ScorePrediction(
        ordinal=message.ordinal,
        sample_id=message.sample_id,
        completion=completion_from_proto(message.completion),
        worker_id=message.worker_id,
    )


def _result(outcome: ScoreOutcome) -> score_pb2.ScoreResult:
    return score_pb2.ScoreResult(
        scored_count=outcome.scored,
        unscored_count=outcome.unscored,
        unscored_by_reason=[
            score_pb2.ReasonTally(reason=reason_to_proto(reason), count=count)
            for reason, count in outcome.unscored_by_reason.items()
        ],
        metrics=[_metric(metric) for metric in outcome.metrics],
        withheld=outcome.withheld,
        provenance=outcome.provenance,
        exhausted_count=outcome.exhausted,
    )


def _metric(metric: Metric) -> score_pb2.MetricValue:
    message = score_pb2.MetricValue(
        name=metric.name,
        split=metric.split,
        scale_low=metric.scale[0],
        scale_high=metric.scale[1],
        sample_count=metric.n,
        upstream_reason=metric.upstream_reason,
    )
    if metric.value is not None:
        message.value = metric.value
    if metric.bounds is not None:
        message.bounds_low, message.bounds_high = metric.bounds
    if metric.upstream_value is not None:
        message.upstream_value = metric.upstream_value
    return message
