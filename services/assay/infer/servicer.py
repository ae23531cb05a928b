"""WorkerService: what a worker is doing, and how to make it leave."""

from __future__ import annotations

from typing import Any

import grpc

from assay.rpc.server import Registration
from assay.v1 import worker_pb2, worker_pb2_grpc
from assay.worker.loop import WorkerLoop


class WorkerServicer(worker_pb2_grpc.WorkerServiceServicer):
    """Answers for one worker loop."""

    def __init__(
        self, loop: WorkerLoop, *, run_id: str, queue: str, worker_id: str
    ) -> None:
        self._loop = loop
        self._identity = {"run_id": run_id, "queue": queue, "worker_id": worker_id}

    def registration(self) -> Registration:
        """What `assay.rpc.server.serve` needs to serve it."""

        def add(server: grpc.aio.Server) -> None:
            worker_pb2_grpc.add_WorkerServiceServicer_to_server(self, server)

        return Registration("assay.v1.WorkerService", add)

    async def Describe(
        self, _request: worker_pb2.DescribeRequest, _context: Any
    ) -> worker_pb2.WorkerView:
        """Says what the worker is doing now."""
        return self._view()

    async def Drain(
        self, _request: worker_pb2.DrainRequest, _context: Any
    ) -> worker_pb2.WorkerView:
        """Makes the worker finish what is in flight and leave."""
        self._loop.drain()
        return self._view()

    def _view(self) -> worker_pb2.WorkerView:
        now = self._loop.snapshot()
        return worker_pb2.WorkerView(
            **self._identity,
            in_flight_count=now.in_flight,
            held_count=now.held,
            committed_count=now.committed,
            request_count=now.requests,
            draining=now.draining,
        )
