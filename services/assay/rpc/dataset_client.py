"""The callers' side of DatasetService: drivers ask it for datasets; domain records in and out."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import grpc

from assay.domain.errors import UnavailableError
from assay.domain.prepared import PreparedRef, StageProgress
from assay.domain.run import PicturePolicy, SourceOverride
from assay.rpc.dataset_convert import (
    policy_to_proto,
    prepared_from_proto,
    source_to_proto,
    sources_to_proto,
    stage_from_proto,
)
from assay.rpc.status import error_of
from assay.v1 import dataset_pb2, dataset_pb2_grpc

CALL_SECONDS = 10.0
"""Deadline of calls that are answered at once."""

PREPARE_SECONDS = 24 * 3600.0
"""Deadline of one preparation, download included; the service watches for stalls itself."""


class DatasetClient:
    """Calls DatasetService."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = dataset_pb2_grpc.DatasetServiceStub(channel)

    async def prepare(
        self,
        name: str,
        source: SourceOverride | None,
        policy: PicturePolicy,
        mirrors: Mapping[str, str],
        on_progress: Callable[[StageProgress], None] | None = None,
        *,
        member_sources: Mapping[str, SourceOverride] | None = None,
    ) -> PreparedRef:
        """Waits until a dataset is ready; `on_progress` is told how far it is.

        A collection has no source; `member_sources` has those of its members that the user gave.

        Raises:
            DatasetError: the dataset cannot be had or used; message and cure say why.
            SourceUnavailableError: its source did not answer; try again later.
            StoreFullError: no space.
            UnavailableError: the service is away; call again.
            AssayError: whatever else the other side raised.
        """
        request = dataset_pb2.PrepareRequest(
            name=name,
            source=source_to_proto(source) if source else None,
            pictures=policy_to_proto(policy),
            mirrors=mirrors,
            member_sources=sources_to_proto(member_sources or {}),
        )
        attempted = f"prepare dataset {name}"
        try:
            async for step in self._stub.Prepare(request, timeout=PREPARE_SECONDS):
                if step.WhichOneof("step") == "ready":
                    return prepared_from_proto(step.ready)
                if on_progress is not None:
                    on_progress(stage_from_proto(step.stage))
        except grpc.RpcError as error:
            raise error_of(error, attempted) from error
        raise UnavailableError(f"{attempted}: the stream ended before it was ready")

    async def get(self, name: str, digest: str) -> PreparedRef:
        """One prepared dataset.

        Raises:
            NotFoundError: it is not prepared there.
            AssayError: whatever else the other side raised.
        """
        request = dataset_pb2.GetPreparedRequest(name=name, prepared_digest=digest)
        try:
            found = await self._stub.Get(request, timeout=CALL_SECONDS)
        except grpc.RpcError as error:
            raise error_of(error, f"look for dataset {name}") from error
        return prepared_from_proto(found)

    async def list(self) -> list[PreparedRef]:
        """All prepared datasets, in name order.

        Raises:
            AssayError: whatever the other side raised.
        """
        request = dataset_pb2.ListPreparedRequest()
        try:
            found = await self._stub.List(request, timeout=CALL_SECONDS)
        except grpc.RpcError as error:
            raise error_of(error, "list the prepared datasets") from error
        return [prepared_from_proto(each) for each in found.datasets]

    async def delete(self, name: str, digest: str) -> None:
        """Deletes a prepared dataset.

        Raises:
            NotFoundError: it is not prepared there.
            AssayError: whatever else the other side raised.
        """
        request = dataset_pb2.DeletePreparedRequest(name=name, prepared_digest=digest)
        try:
            await self._stub.Delete(request, timeout=CALL_SECONDS)
        except grpc.RpcError as error:
            raise error_of(error, f"delete dataset {name}") from error
