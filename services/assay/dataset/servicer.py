"""DatasetService on the wire: translates, decides nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from assay.dataset.service import DatasetService, PrepareRequest
from assay.rpc.dataset_convert import (
    policy_from_proto,
    prepared_to_proto,
    progress_to_proto,
    source_from_proto,
    sources_from_proto,
)
from assay.v1 import dataset_pb2, dataset_pb2_grpc


class DatasetServicer(dataset_pb2_grpc.DatasetServiceServicer):
    """Serves one DatasetService; errors become statuses in the interceptor."""

    def __init__(self, service: DatasetService) -> None:
        self._service = service

    async def Prepare(
        self, request: dataset_pb2.PrepareRequest, _context: Any
    ) -> AsyncIterator[dataset_pb2.PrepareProgress]:
        """Streams how far a dataset is, and what it became."""
        wanted = PrepareRequest(
            name=request.name,
            source=source_from_proto(request.source)
            if request.HasField("source")
            else None,
            pictures=policy_from_proto(request.pictures),
            mirrors=dict(request.mirrors),
            member_sources=sources_from_proto(request.member_sources),
        )
        async for step in self._service.prepare(wanted):
            yield progress_to_proto(step)

    async def Get(
        self, request: dataset_pb2.GetPreparedRequest, _context: Any
    ) -> dataset_pb2.PreparedDataset:
        """One prepared dataset."""
        return prepared_to_proto(
            await self._service.get(request.name, request.prepared_digest)
        )

    async def List(
        self, _request: dataset_pb2.ListPreparedRequest, _context: Any
    ) -> dataset_pb2.ListPreparedResponse:
        """All prepared datasets."""
        found = await self._service.list()
        return dataset_pb2.ListPreparedResponse(datasets=map(prepared_to_proto, found))

    async def Delete(
        self, request: dataset_pb2.DeletePreparedRequest, _context: Any
    ) -> dataset_pb2.DeletePreparedResponse:
        """Deletes a prepared dataset."""
        await self._service.delete(request.name, request.prepared_digest)
        return dataset_pb2.DeletePreparedResponse()
