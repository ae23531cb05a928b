"""The reader's side of RunService: which runs there are, and the files that one of them left.

Command lines and controllers call it; files come in pieces and a fetch that was cut goes on where it was.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import grpc

from assay.domain.errors import UnavailableError
from assay.domain.snapshot import ResultFile, RunSummary
from assay.rpc.run_client import CALL_SECONDS, REPLAY_SECONDS
from assay.rpc.run_convert import file_from_proto, summary_from_proto
from assay.rpc.status import error_of
from assay.v1 import run_pb2, run_pb2_grpc


@dataclass(frozen=True, slots=True)
class RunPage:
    """Some of the runs of a store.

    Attributes:
        next_token: asks for the page after it; empty: it was the last.
    """

    runs: tuple[RunSummary, ...]
    next_token: str


class RunResultsClient:
    """Calls RunService about any run of a store, to read."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = run_pb2_grpc.RunServiceStub(channel)

    async def page(self, token: str = "", *, size: int = 0) -> RunPage:
        """A page of the store's runs, by id.

        Raises:
            ConfigError: the token is none of the aggregator's.
            UnavailableError: the aggregator is away; try again.
        """
        request = run_pb2.ListRunsRequest(page_size=size, page_token=token)
        try:
            found = await self._stub.List(request, timeout=CALL_SECONDS)
        except grpc.RpcError as failure:
            raise error_of(failure, "list the runs") from failure
        runs = tuple(summary_from_proto(each) for each in found.runs)
        return RunPage(runs, found.next_page_token)

    async def runs(self) -> AsyncIterator[RunSummary]:
        """Every run of the store, by id.

        Raises:
            UnavailableError: the aggregator is away; try again.
        """
        token = ""
        while True:
            page = await self.page(token)
            for run in page.runs:
                yield run
            token = page.next_token
            if not token:
                return

    async def files(self, run_id: str) -> list[ResultFile]:
        """The names of the files of a run's result.

        Raises:
            NotFoundError: no such run.
            UnavailableError: the aggregator is away; try again.
        """
        request = run_pb2.ReportRequest(run_id=run_id)
        try:
            return [
                file_from_proto(part.file)
                async for part in self._stub.Report(request, timeout=REPLAY_SECONDS)
            ]
        except grpc.RpcError as failure:
            raise error_of(failure, f"list the files of {run_id}") from failure

    async def fetch(
        self, run_id: str, path: str, *, offset: int = 0, sha256: str = ""
    ) -> AsyncIterator[ResultFile | bytes]:
        """A file: what it is, then its bytes from `offset` on, in pieces.

        Args:
            run_id: the run.
            path: as `files` names it.
            offset: bytes the caller has.
            sha256: the digest of the file that those are of; empty: whatever it is now.

        Raises:
            NotFoundError: no such run or file.
            ChangedError: it is another file now; begin it from zero.
            UnavailableError: the aggregator went away; go on from what has come.
        """
        attempted = f"fetch {path} of {run_id}"
        request = run_pb2.ReportRequest(
            run_id=run_id, path=path, offset=offset, sha256=sha256
        )
        have, size = offset, -1
        try:
            async for part in self._stub.Report(request, timeout=REPLAY_SECONDS):
                if part.WhichOneof("part") == "file":
                    size = part.file.byte_count
                    yield file_from_proto(part.file)
                else:
                    have += len(part.data)
                    yield part.data
        except grpc.RpcError as failure:
            raise error_of(failure, attempted) from failure
        if have != size:
            raise UnavailableError(f"{attempted}: {have} of {size} bytes came")
