"""The controller's process among real servers: EvalRuns come to their end, whatever happens to it."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator

import pytest

from support.api_server import ApiServer
from support.binaries import MissingError, binary
from support.controller_place import Place, cluster_without_nodes, place
from support.stub_endpoint import StubEndpoint

COUNT = 40


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    try:
        for name in ("etcd", "kube-apiserver", "kube-controller-manager"):
            binary(name)
    except MissingError as error:
        pytest.skip(str(error))
    with cluster_without_nodes(tmp_path_factory.mktemp("api")) as running:
        yield running


@pytest.fixture
async def there(server, minio, tmp_path) -> AsyncIterator[Place]:
    store = minio.config(bucket=f"b-{uuid.uuid4().hex[:12]}", create_bucket=True)
    async with place(server, tmp_path, store, count=COUNT) as made:
        yield made


@pytest.fixture
def endpoint() -> Iterator[StubEndpoint]:
    with StubEndpoint() as running:
        yield running


async def test_an_evalrun_comes_to_its_end_and_every_sample_is_asked_once(
    there, endpoint
) -> None:
    await there.controller()
    there.submit(endpoint.url)
    await there.complete()
    told = there.run().status
    assert told["state"] == "Complete"
    assert told["progress"] == f"{COUNT}/{COUNT}"
    assert sum(endpoint.asked.values()) == COUNT
