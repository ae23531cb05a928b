"""DatasetService over real gRPC: progress streams, errors keep their class, message and cure."""

from __future__ import annotations

import pytest

from assay.dataset.servicer import DatasetServicer
from assay.domain.errors import (
    DatasetError,
    DigestMismatchError,
    NotFoundError,
    SourceUnavailableError,
)
from assay.domain.prepared import PrepareStage
from assay.domain.run import PicturePolicy, SourceOverride
from assay.rpc.callers import SharedToken
from assay.rpc.channel import open_channel
from assay.rpc.dataset_client import DatasetClient
from assay.rpc.server import Registration, serve
from assay.v1 import dataset_pb2_grpc
from support.dataset_process import TOKEN, mcq_rows, write_tsv
from support.dataset_service import make_service
from support.faulty_server import faulty_server

POLICY = PicturePolicy()


@pytest.fixture
async def client(tmp_path):
    service, _ = make_service(tmp_path / "cache", lmu_data=tmp_path)

    def add(server):
        dataset_pb2_grpc.add_DatasetServiceServicer_to_server(
            DatasetServicer(service), server
        )

    server = await serve(
        [Registration("assay.v1.DatasetService", add)],
        listen="127.0.0.1:0",
        authenticator=SharedToken(TOKEN),
    )
    async with open_channel(server.address, TOKEN) as channel:
        yield DatasetClient(channel)
    await service.stop()
    await server.stop(0)


async def test_a_dataset_becomes_ready_and_says_how_far_it_is(client, tmp_path):
    path = write_tsv(tmp_path / "any.tsv", mcq_rows(3))
    told = []
    source = SourceOverride(path=str(path))
    ref = await client.prepare("Mine", source, POLICY, {}, told.append)
    assert (ref.name, ref.sample_count) == ("Mine", 3)
    assert told[-1].stage is PrepareStage.PREPARING
    assert await client.list() == [ref]
    assert await client.get("Mine", ref.digest) == ref


async def test_another_picture_policy_is_another_prepared_dataset(client, tmp_path):
    source = SourceOverride(path=str(write_tsv(tmp_path / "any.tsv", mcq_rows(1))))
    whole = await client.prepare("Mine", source, POLICY, {})
    small = await client.prepare("Mine", source, PicturePolicy(img_size=64), {})
    assert whole.digest != small.digest
    assert whole.source_digest == small.source_digest


async def test_a_wrong_digest_arrives_as_what_it_is(client, tmp_path):
    write_tsv(tmp_path / "MMStar.tsv", mcq_rows(1))
    with pytest.raises(DigestMismatchError, match="VLMEvalKit expects") as refused:
        await client.prepare("MMStar", None, POLICY, {})
    assert "move the file away" in str(refused.value.cure)


async def test_an_unknown_dataset_arrives_as_what_it_is(client):
    with pytest.raises(DatasetError, match="no file for dataset Nothing") as refused:
        await client.prepare("Nothing", None, POLICY, {})
    assert "dataset_sources" in str(refused.value.cure)


async def test_a_source_that_is_down_arrives_as_transient(client):
    async with faulty_server(b"", *["status:503"] * 9) as server:
        source = SourceOverride(url=f"{server.url}/x.tsv")
        with pytest.raises(SourceUnavailableError, match="503"):
            await client.prepare("Mine", source, POLICY, {})


async def test_a_caller_that_leaves_does_not_stop_the_work(client, tmp_path):
    source = SourceOverride(path=str(write_tsv(tmp_path / "any.tsv", mcq_rows(2))))

    def leave(_progress):
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await client.prepare("Mine", source, POLICY, {}, leave)
    ref = await client.prepare("Mine", source, POLICY, {})
    assert ref.sample_count == 2


async def test_what_was_deleted_is_not_found(client, tmp_path):
    source = SourceOverride(path=str(write_tsv(tmp_path / "any.tsv", mcq_rows(1))))
    ref = await client.prepare("Mine", source, POLICY, {})
    await client.delete("Mine", ref.digest)
    with pytest.raises(NotFoundError):
        await client.delete("Mine", ref.digest)
