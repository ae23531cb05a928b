"""Translates RunService, WorkService and ScoreService to the aggregator's service and desks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc

from assay.aggregator import results
from assay.aggregator.runs import Runs, ServedRun
from assay.aggregator.scoring import ScoringSession
from assay.domain.errors import LeaseLostError, PermanentError
from assay.domain.judge import JudgeAnswer
from assay.domain.lease import EndpointCondition
from assay.rpc.convert import completion_from_proto, task_id_from_proto
from assay.rpc.run_convert import (
    file_to_proto,
    snapshot_to_proto,
    summary_to_proto,
)
from assay.rpc.score_convert import (
    head_to_proto,
    outcome_from_proto,
    prediction_to_proto,
)
from assay.rpc.score_judging import answer_to_proto, request_from_proto
from assay.rpc.server import Registration
from assay.rpc.work_convert import (
    endpoint_from_proto,
    extension_to_proto,
    grant_to_proto,
    held_from_proto,
    outcomes_to_proto,
)
from assay.v1 import (
    run_pb2,
    run_pb2_grpc,
    score_pb2,
    score_pb2_grpc,
    work_pb2,
    work_pb2_grpc,
)

_WATCH_SECONDS = 0.2
_INPUT_AHEAD = 8
"""Messages of a task's input that wait to be sent: a table is large."""


class RunServicer(run_pb2_grpc.RunServiceServicer):
    """RunService of one aggregator."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs

    async def Open(self, request: run_pb2.OpenRequest, context: Any) -> run_pb2.RunView:
        view = await self._runs.open(
            request.run_id,
            request.spec_json,
            adopts=list(request.adopts),
            keep_ended=request.keep_ended,
        )
        return snapshot_to_proto(view)

    async def AttachDataset(
        self, request: run_pb2.AttachDatasetRequest, context: Any
    ) -> run_pb2.RunView:
        service = (await self._runs.get(request.run_id)).service
        models = list(request.models)
        if request.WhichOneof("outcome") == "failure":
            text = request.failure.message or request.failure.reason
            view = await service.fail_dataset(request.dataset, models, text)
        else:
            view = await service.attach_dataset(
                request.dataset, models, request.prepared_digest
            )
        return snapshot_to_proto(view)

    async def Get(self, request: run_pb2.GetRequest, context: Any) -> run_pb2.RunView:
        served = await self._runs.get(request.run_id)
        return snapshot_to_proto(served.service.snapshot())

    async def Watch(
        self, request: run_pb2.WatchRequest, context: Any
    ) -> AsyncIterator[run_pb2.RunView]:
        served = await self._runs.get(request.run_id)
        interval = request.min_interval_seconds or _WATCH_SECONDS
        async for snapshot in served.service.watch(interval):
            yield snapshot_to_proto(snapshot)

    async def Retry(
        self, request: run_pb2.RetryRequest, context: Any
    ) -> run_pb2.RunView:
        served = await self._runs.get(request.run_id)
        return snapshot_to_proto(await served.service.retry())

    async def Finish(
        self, request: run_pb2.FinishRequest, context: Any
    ) -> run_pb2.RunView:
        served = await self._runs.get(request.run_id)
        return snapshot_to_proto(await served.service.finish(request.failure))

    async def Close(
        self, request: run_pb2.CloseRequest, context: Any
    ) -> run_pb2.RunView:
        return snapshot_to_proto(await self._runs.close(request.run_id))

    async def Cancel(
        self, request: run_pb2.CancelRequest, context: Any
    ) -> run_pb2.RunView:
        return snapshot_to_proto(await self._runs.cancel(request.run_id))

    async def List(
        self, request: run_pb2.ListRunsRequest, context: Any
    ) -> run_pb2.ListRunsResponse:
        found, token = await self._runs.page(request.page_token, request.page_size)
        return run_pb2.ListRunsResponse(
            runs=[summary_to_proto(each) for each in found], next_page_token=token
        )

    async def Report(
        self, request: run_pb2.ReportRequest, context: Any
    ) -> AsyncIterator[run_pb2.ReportPart]:
        means = await self._runs.means_of(request.run_id)
        if not request.path:
            async for file in results.names(means):
                yield file_to_proto(file)
            return
        found = results.pieces(means, request.path, request.offset, request.sha256)
        async for piece in found:
            if isinstance(piece, bytes):
                yield run_pb2.ReportPart(data=piece)
            else:
                yield file_to_proto(piece)


class WorkServicer(work_pb2_grpc.WorkServiceServicer):
    """WorkService of one aggregator."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs

    async def Lease(
        self, request: work_pb2.LeaseRequest, context: Any
    ) -> work_pb2.LeaseResponse:
        desk = (await self._runs.get(request.run_id)).work
        grant = await desk.lease(
            request.queue, request.worker_id, request.capacity, request.wait_seconds
        )
        return grant_to_proto(grant)

    async def Extend(
        self, request: work_pb2.ExtendRequest, context: Any
    ) -> work_pb2.ExtendResponse:
        desk = (await self._runs.get(request.run_id)).work
        endpoint: EndpointCondition | None = None
        if request.HasField("endpoint"):
            endpoint = endpoint_from_proto(request.endpoint)
        held = [held_from_proto(each) for each in request.held]
        grant = await desk.extend(request.queue, request.worker_id, held, endpoint)
        return extension_to_proto(grant)

    async def Commit(
        self, request: work_pb2.CommitRequest, context: Any
    ) -> work_pb2.CommitResponse:
        desk = (await self._runs.get(request.run_id)).work
        completions = [completion_from_proto(each) for each in request.completions]
        outcomes = await desk.commit(
            task_id_from_proto(request.task), request.worker_id, completions
        )
        return outcomes_to_proto(outcomes)

    async def Release(
        self, request: work_pb2.ReleaseRequest, context: Any
    ) -> work_pb2.ReleaseResponse:
        desk = (await self._runs.get(request.run_id)).work
        await desk.release(request.worker_id, list(request.lease_ids))
        return work_pb2.ReleaseResponse()


class ScoreServicer(score_pb2_grpc.ScoreServiceServicer):
    """ScoreService of one aggregator."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs

    async def Score(
        self, request_iterator: AsyncIterator[score_pb2.ScoreRequest], context: Any
    ) -> AsyncIterator[score_pb2.ScoreResponse]:
        claim = await anext(request_iterator)
        if claim.WhichOneof("step") != "claim":
            raise PermanentError("cannot score: a stream begins with a claim")
        served = await self._runs.get(claim.claim.run_id)
        session = served.scoring.claim(task_id_from_proto(claim.claim.task))
        try:
            async for response in _Conversation(served, session, request_iterator):
                yield response
        finally:
            await served.scoring.unclaim(session)


class _Conversation:
    """A claim both ways at once: its input and judge answers down; files, questions and the end up."""

    def __init__(
        self,
        served: ServedRun,
        session: ScoringSession,
        requests: AsyncIterator[score_pb2.ScoreRequest],
    ) -> None:
        self._served = served
        self._session = session
        self._requests = requests
        self._out: asyncio.Queue[score_pb2.ScoreResponse | None] = asyncio.Queue()
        self._room = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[score_pb2.ScoreResponse]:
        taking = asyncio.create_task(self._take())
        feeding = asyncio.create_task(self._feed())
        for each in (taking, feeding):
            each.add_done_callback(lambda _: self._out.put_nowait(None))
        try:
            while not taking.done() or not self._out.empty():
                response = await self._out.get()
                self._room.set()
                if response is not None:
                    yield response
                elif feeding.done():
                    feeding.result()
            yield taking.result()
        finally:
            taking.cancel()
            feeding.cancel()

    async def _feed(self) -> None:
        """Sends the input, no more of it at a time than is taken."""
        async for response in _input(self._session):
            while self._out.qsize() >= _INPUT_AHEAD:
                self._room.clear()
                await self._room.wait()
            self._out.put_nowait(response)

    async def _take(self) -> score_pb2.ScoreResponse:
        """Takes in files and questions until the result, or the failure, that ends the stream."""
        session, scoring = self._session, self._served.scoring
        async for request in _until_lost(session, self._requests):
            match request.WhichOneof("step"):
                case "judge_request":
                    asked = session.ask(request_from_proto(request.judge_request))
                    asked.add_done_callback(self._tell)
                case "file_chunk":
                    chunk = request.file_chunk
                    await session.receive(chunk.path, chunk.data)
                case "result":
                    outcome = outcome_from_proto(request.result)
                    return _stored(await scoring.scored(session, outcome))
                case "failure":
                    scoring.failed(session, request.failure.message)
                    return _stored("")
        raise LeaseLostError(f"the claim on {session.task.id} has ended")

    def _tell(self, asked: asyncio.Future[JudgeAnswer]) -> None:
        if not asked.cancelled():
            message = answer_to_proto(asked.result())
            self._out.put_nowait(score_pb2.ScoreResponse(judge_answer=message))


async def _until_lost(
    session: ScoringSession, requests: AsyncIterator[score_pb2.ScoreRequest]
) -> AsyncIterator[score_pb2.ScoreRequest]:
    """What a scorer sends, for as long as it has the task: one that computes for long is told at once."""
    lost = asyncio.ensure_future(session.lost.wait())
    try:
        while True:
            request = asyncio.ensure_future(anext(requests, None))
            await asyncio.wait({request, lost}, return_when=asyncio.FIRST_COMPLETED)
            if lost.done():
                request.cancel()
                return
            if (told := request.result()) is None:
                return
            yield told
    finally:
        lost.cancel()


async def _input(session: ScoringSession) -> AsyncIterator[score_pb2.ScoreResponse]:
    yield score_pb2.ScoreResponse(input_head=head_to_proto(session.head()))
    async for data, last in session.table():
        chunk = score_pb2.FileChunk(path="table.tsv", data=data, last=last)
        yield score_pb2.ScoreResponse(table_chunk=chunk)
    async for batch in session.predictions():
        predictions = [prediction_to_proto(prediction) for prediction in batch]
        yield score_pb2.ScoreResponse(
            predictions=score_pb2.PredictionBatch(predictions=predictions)
        )
    yield score_pb2.ScoreResponse(input_end=score_pb2.ScoreInputEnd())


def _stored(digest: str) -> score_pb2.ScoreResponse:
    return score_pb2.ScoreResponse(stored=score_pb2.ScoreStored(score_digest=digest))


def registrations(runs: Runs) -> list[Registration]:
    """Everything an aggregator serves."""
    run_servicer = RunServicer(runs)
    work_servicer = WorkServicer(runs)
    score_servicer = ScoreServicer(runs)

    def add_run(server: grpc.aio.Server) -> None:
        run_pb2_grpc.add_RunServiceServicer_to_server(run_servicer, server)

    def add_work(server: grpc.aio.Server) -> None:
        work_pb2_grpc.add_WorkServiceServicer_to_server(work_servicer, server)

    def add_score(server: grpc.aio.Server) -> None:
        score_pb2_grpc.add_ScoreServiceServicer_to_server(score_servicer, server)

    return [
        Registration("assay.v1.RunService", add_run),
        Registration("assay.v1.WorkService", add_work),
        Registration("assay.v1.ScoreService", add_score),
    ]
