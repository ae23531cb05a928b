"""The driver's side of RunService: domain records in and out, a deadline on every call but `watch`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Sequence

import grpc
import msgspec

from assay.domain.run import Run
from assay.domain.snapshot import RunSnapshot
from assay.rpc.run_convert import snapshot_from_proto
from assay.rpc.status import error_of
from assay.v1 import run_pb2, run_pb2_grpc

CALL_SECONDS = 30.0
"""Deadline of a call that is answered when the store has written a few small objects."""

REPLAY_SECONDS = 300.0
"""Deadline of calls that may read every segment of a run."""


class RunClient:
    """Calls RunService about one run."""

    def __init__(self, channel: grpc.aio.Channel, *, run_id: str) -> None:
        self._stub = run_pb2_grpc.RunServiceStub(channel)
        self._run_id = run_id

    async def open(
        self, run: Run, *, adopts: Sequence[str] = (), keep_ended: bool = False
    ) -> RunSnapshot:
        """Has the run accepted; again is no error.

        Args:
            run: its spec.
            adopts: former executions of the same evaluation, newest first, whose answers it goes on from.
            keep_ended: leave a run that has ended ended, unless something else is asked of it now.

        Raises:
            ConflictError: it is there with another spec.
            EndpointChangedError: a model that has answered is asked at another address now.
            NotFoundError: a run to adopt from is not in the store.
            UnavailableError: the aggregator is away; try again.
        """
        request = run_pb2.OpenRequest(
            run_id=self._run_id,
            spec_json=msgspec.json.encode(run),
            adopts=adopts,
            keep_ended=keep_ended,
        )
        return await self._view(
            self._stub.Open(request, timeout=REPLAY_SECONDS), "open the run"
        )

    async def attach_dataset(
        self, dataset: str, *, models: Sequence[str], digest: str
    ) -> RunSnapshot:
        """Pins a prepared dataset for these models' tasks.

        Raises:
            ConflictError: another digest is pinned.
            NotFoundError: no such task or prepared dataset.
            UnavailableError: the aggregator is away; try again.
        """
        request = run_pb2.AttachDatasetRequest(
            run_id=self._run_id, dataset=dataset, models=models, prepared_digest=digest
        )
        call = self._stub.AttachDataset(request, timeout=REPLAY_SECONDS)
        return await self._view(call, f"attach dataset {dataset}")

    async def fail_dataset(
        self, dataset: str, *, models: Sequence[str], reason: str, message: str
    ) -> RunSnapshot:
        """Says why these models' tasks on a dataset cannot be had.

        Raises:
            NotFoundError: no such task.
            UnavailableError: the aggregator is away; try again.
        """
        request = run_pb2.AttachDatasetRequest(
            run_id=self._run_id,
            dataset=dataset,
            models=models,
            failure=run_pb2.DatasetFailure(reason=reason, message=message),
        )
        call = self._stub.AttachDataset(request, timeout=CALL_SECONDS)
        return await self._view(call, f"give up dataset {dataset}")

    async def get(self) -> RunSnapshot:
        """The run now.

        Raises:
            NotFoundError: it was never opened.
            UnavailableError: the aggregator is away; try again.
        """
        request = run_pb2.GetRequest(run_id=self._run_id)
        return await self._view(
            self._stub.Get(request, timeout=CALL_SECONDS), "look at the run"
        )

    async def watch(self, interval: float) -> AsyncIterator[RunSnapshot]:
        """The run now and after changes, at most every `interval` seconds, until it is final.

        Raises:
            NotFoundError: it was never opened.
            UnavailableError: the aggregator went away; watch again.
        """
        request = run_pb2.WatchRequest(
            run_id=self._run_id, min_interval_seconds=interval
        )
        try:
            async for view in self._stub.Watch(request):
                yield snapshot_from_proto(view)
        except grpc.RpcError as failure:
            raise error_of(failure, "watch the run") from failure

    async def retry(self) -> RunSnapshot:
        """Makes samples that ended without a verdict pending again.

        Raises:
            NotFoundError: the run was never opened.
            UnavailableError: the aggregator is away; try again.
        """
        request = run_pb2.RetryRequest(run_id=self._run_id)
        return await self._view(
            self._stub.Retry(request, timeout=REPLAY_SECONDS), "retry the run"
        )

    async def close(self) -> RunSnapshot:
        """Ends the run's work because another execution follows; `open` lets it go on.

        Raises:
            NotFoundError: the run was never opened.
            UnavailableError: the aggregator is away; try again.
        """
        request = run_pb2.CloseRequest(run_id=self._run_id)
        return await self._view(
            self._stub.Close(request, timeout=REPLAY_SECONDS), "close the run"
        )

    async def cancel(self) -> RunSnapshot:
        """Ends the run for good.

        Raises:
            NotFoundError: the run was never opened.
            UnavailableError: the aggregator is away; try again.
        """
        request = run_pb2.CancelRequest(run_id=self._run_id)
        return await self._view(
            self._stub.Cancel(request, timeout=REPLAY_SECONDS), "cancel the run"
        )

    async def finish(self, failure: str = "") -> RunSnapshot:
        """Closes the run and has its report written.

        Raises:
            StoreFullError: no room for it; make room and call again.
            UnavailableError: the aggregator is away; try again.
        """
        request = run_pb2.FinishRequest(run_id=self._run_id, failure=failure)
        return await self._view(
            self._stub.Finish(request, timeout=CALL_SECONDS), "finish the run"
        )

    async def _view(
        self, call: Awaitable[run_pb2.RunView], attempted: str
    ) -> RunSnapshot:
        try:
            return snapshot_from_proto(await call)
        except grpc.RpcError as failure:
            raise error_of(failure, attempted) from failure
