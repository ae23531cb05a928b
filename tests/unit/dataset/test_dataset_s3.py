"""Objects of an S3 endpoint are raw files like any other."""

from __future__ import annotations

import hashlib

import pytest

from assay.dataset.sources.s3 import S3Addresses
from assay.domain.errors import DatasetError, SourceUnavailableError
from assay.process.configs import S3Config
from support.dataset_process import mcq_rows, write_tsv
from support.dataset_service import make_service, ready, request
from support.faulty_server import faulty_server


@pytest.fixture
def content(tmp_path):
    return write_tsv(tmp_path / "any.tsv", mcq_rows(3)).read_bytes()


def over(server, cache):
    """A service whose S3 endpoint is `server`, read without credentials."""
    endpoint = server.url.removeprefix("http://")
    config = S3Config(endpoint=endpoint, secure=False, region="us-east-1")
    return make_service(cache, s3=S3Addresses(config).of)[0]


async def test_an_object_is_fetched_and_prepared(tmp_path, content):
    async with faulty_server(content) as server:
        service = over(server, tmp_path / "cache")
        ref, _ = await ready(service, request("Mine", s3="s3://bucket/deep/m.tsv"))
    assert ref.source_md5 == hashlib.md5(content).hexdigest()
    assert server.requests[-1]["target"].startswith("GET /bucket/deep/m.tsv")


async def test_a_cut_is_mended_by_reading_on(tmp_path, content):
    async with faulty_server(content, "cut:400") as server:
        service = over(server, tmp_path / "cache")
        ref, _ = await ready(service, request("Mine", s3="s3://bucket/m.tsv"))
    assert ref.source_md5 == hashlib.md5(content).hexdigest()


async def test_a_missing_object_says_so(tmp_path, content):
    async with faulty_server(content, "status:404") as server:
        service = over(server, tmp_path / "cache")
        with pytest.raises(DatasetError, match=r"s3://bucket/m\.tsv: .*answered 404"):
            await ready(service, request("Mine", s3="s3://bucket/m.tsv"))


async def test_an_endpoint_that_is_down_is_a_transient_trouble(tmp_path):
    async with faulty_server(b"") as server:
        service = over(server, tmp_path / "cache")
    with pytest.raises(SourceUnavailableError, match="s3://bucket"):
        await ready(service, request("Mine", s3="s3://bucket/m.tsv"))


@pytest.mark.parametrize("address", ["s3://bucket", "s3:///key", "bucket/key"])
async def test_what_is_no_s3_address_is_refused(tmp_path, address):
    service, _ = make_service(tmp_path / "cache")
    with pytest.raises(DatasetError, match="s3 address"):
        await ready(service, request("Mine", s3=address))
