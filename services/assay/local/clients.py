"""The calls a driver makes, over channels that carry the run's token."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from assay.driving.asking import Clients
from assay.local.launch import Launch
from assay.rpc.channel import open_channel
from assay.rpc.dataset_client import DatasetClient
from assay.rpc.run_client import RunClient


@asynccontextmanager
async def open_clients(launch: Launch) -> AsyncIterator[Clients]:
    """Clients of this run's services; they connect when first used and again when needed."""
    token = launch.token.get_secret_value()
    async with (
        open_channel(launch.aggregator_address, token) as aggregator,
        open_channel(launch.dataset_address, token) as dataset,
    ):
        yield Clients(
            RunClient(aggregator, run_id=launch.folder.run_id), DatasetClient(dataset)
        )
