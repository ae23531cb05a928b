"""A ScoreService that hands out one task and keeps what comes back; for tests of the scorer's side."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from assay.domain.completion import Completion
from assay.domain.errors import AssayError
from assay.domain.judge import JudgeAnswer, JudgeRequest
from assay.rpc.callers import SharedToken
from assay.rpc.convert import completion_to_proto
from assay.rpc.score_judging import answer_to_proto, request_from_proto
from assay.rpc.server import Registration, serve
from assay.v1 import score_pb2, score_pb2_grpc

TOKEN = "test-token"


@dataclass
class Handed:
    """What one claim brought back."""

    files: dict[str, bytes] = field(default_factory=dict)
    result: score_pb2.ScoreResult | None = None
    failure: score_pb2.ScoreFailure | None = None


@dataclass
class ScoreStub(score_pb2_grpc.ScoreServiceServicer):
    """Serves one task to every claim; `trouble` is raised by the first claims, one each."""

    head: score_pb2.ScoreInputHead
    table: bytes
    answers: list[tuple[str, Completion]]
    trouble: list[AssayError] = field(default_factory=list)
    claims: list[score_pb2.ScoreClaim] = field(default_factory=list)
    handed: list[Handed] = field(default_factory=list)
    judge: Callable[[JudgeRequest], JudgeAnswer | None] = lambda _request: None
    """What is answered to a judge request; None: nothing yet. An answer is known to later claims."""
    asked: list[JudgeRequest] = field(default_factory=list)
    known: list[JudgeAnswer] = field(default_factory=list)

    async def Score(self, request_iterator, context):  # noqa: N802 - gRPC's name
        first = await anext(request_iterator)
        self.claims.append(first.claim)
        if self.trouble:
            raise self.trouble.pop(0)
        yield score_pb2.ScoreResponse(input_head=self.head)
        for start in range(0, len(self.table), 1000):
            piece = self.table[start : start + 1000]
            last = start + 1000 >= len(self.table)
            chunk = score_pb2.FileChunk(path="table.tsv", data=piece, last=last)
            yield score_pb2.ScoreResponse(table_chunk=chunk)
        for sample_id, completion in self.answers:
            prediction = score_pb2.Prediction(
                ordinal=completion.ordinal,
                sample_id=sample_id,
                completion=completion_to_proto(completion),
                worker_id="w1",
            )
            batch = score_pb2.PredictionBatch(predictions=[prediction])
            yield score_pb2.ScoreResponse(predictions=batch)
        if self.head.HasField("judging"):
            known = [answer_to_proto(answer) for answer in self.known]
            batch = score_pb2.JudgeAnswerBatch(answers=known)
            yield score_pb2.ScoreResponse(known_answers=batch)
        yield score_pb2.ScoreResponse(input_end=score_pb2.ScoreInputEnd())
        handed = Handed()
        async for request in request_iterator:
            answer = self._take(handed, request)
            if answer is not None:
                self.known.append(answer)
                yield score_pb2.ScoreResponse(judge_answer=answer_to_proto(answer))
        self.handed.append(handed)
        yield score_pb2.ScoreResponse(stored=score_pb2.ScoreStored(score_digest="d1"))

    def _take(self, handed: Handed, request) -> JudgeAnswer | None:
        match request.WhichOneof("step"):
            case "file_chunk":
                chunk = request.file_chunk
                assert len(chunk.data) <= 1024 * 1024
                handed.files[chunk.path] = (
                    handed.files.get(chunk.path, b"") + chunk.data
                )
            case "result":
                handed.result = request.result
            case "failure":
                handed.failure = request.failure
            case "judge_request":
                self.asked.append(request_from_proto(request.judge_request))
                return self.judge(self.asked[-1])
        return None


@dataclass
class EarlyStub(ScoreStub):
    """Serves a task that is being inferred: `landing` is awaited before each prediction."""

    landing: Callable[[int], Awaitable[None]] | None = None

    async def Score(self, request_iterator, context):  # noqa: N802 - gRPC's name
        self.claims.append((await anext(request_iterator)).claim)
        out: asyncio.Queue[score_pb2.ScoreResponse] = asyncio.Queue()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._feed(out))
            group.create_task(self._read(request_iterator, out))
            while True:
                message = await out.get()
                yield message
                if message.HasField("stored"):
                    return

    async def _feed(self, out) -> None:
        await out.put(score_pb2.ScoreResponse(input_head=self.head))
        chunk = score_pb2.FileChunk(path="table.tsv", data=self.table, last=True)
        await out.put(score_pb2.ScoreResponse(table_chunk=chunk))
        for sample_id, completion in self.answers:
            await self.landing(completion.ordinal)
            prediction = score_pb2.Prediction(
                ordinal=completion.ordinal,
                sample_id=sample_id,
                completion=completion_to_proto(completion),
            )
            batch = score_pb2.PredictionBatch(predictions=[prediction])
            await out.put(score_pb2.ScoreResponse(predictions=batch))
        await out.put(score_pb2.ScoreResponse(input_end=score_pb2.ScoreInputEnd()))

    async def _read(self, requests, out) -> None:
        handed = Handed()
        async for request in requests:
            answer = self._take(handed, request)
            if answer is not None:
                self.known.append(answer)
                told = answer_to_proto(answer)
                await out.put(score_pb2.ScoreResponse(judge_answer=told))
        self.handed.append(handed)
        stored = score_pb2.ScoreStored(score_digest="d1")
        await out.put(score_pb2.ScoreResponse(stored=stored))


async def serve_stub(stub: ScoreStub):
    name = "assay.v1.ScoreService"
    add = score_pb2_grpc.add_ScoreServiceServicer_to_server
    registration = Registration(name, lambda server: add(stub, server))
    return await serve(
        [registration], listen="127.0.0.1:0", authenticator=SharedToken(TOKEN)
    )
