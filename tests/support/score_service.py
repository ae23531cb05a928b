"""A ScoreService that hands out one task and keeps what comes back; for tests of the scorer's side."""

from __future__ import annotations

from dataclasses import dataclass, field

from assay.domain.completion import Completion
from assay.domain.errors import AssayError
from assay.rpc.callers import SharedToken
from assay.rpc.convert import completion_to_proto
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
        yield score_pb2.ScoreResponse(input_end=score_pb2.ScoreInputEnd())
        self.handed.append(await self._collect(request_iterator))
        yield score_pb2.ScoreResponse(stored=score_pb2.ScoreStored(score_digest="d1"))

    async def _collect(self, requests) -> Handed:
        handed = Handed()
        async for request in requests:
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
        return handed


async def serve_stub(stub: ScoreStub):
    name = "assay.v1.ScoreService"
    add = score_pb2_grpc.add_ScoreServiceServicer_to_server
    registration = Registration(name, lambda server: add(stub, server))
    return await serve(
        [registration], listen="127.0.0.1:0", authenticator=SharedToken(TOKEN)
    )
