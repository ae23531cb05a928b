"""A real S3 server gives raw files in ranges to whoever may read them, and tells others why not."""

from __future__ import annotations

import io
import random

import pytest
from minio import Minio

from assay.dataset.sources.fetch import SourceFetcher
from assay.dataset.sources.limits import Patience
from assay.dataset.sources.resolve import Expected, S3Object
from assay.dataset.sources.s3 import S3Addresses
from assay.domain.errors import DatasetError
from assay.process.configs import S3Config
from assay.store.folder import FolderStore
from support.minio_server import ACCESS_KEY, SECRET_KEY

CONTENT = b"index\timage\n" + random.Random(3).randbytes(300_000)
PATIENCE = Patience(attempts=2, pause=0.01, piece=64 * 1024)
UNPROVEN = Expected(None, None, "nobody")


@pytest.fixture(scope="module")
def tables(minio):
    """A server that has one object."""
    client = Minio(minio.address, ACCESS_KEY, SECRET_KEY, secure=False)
    client.make_bucket("tables")
    client.put_object("tables", "deep/my é.tsv", io.BytesIO(CONTENT), len(CONTENT))
    return minio


@pytest.fixture
def fetch(tables, tmp_path):
    """Fetches an object with some credentials; also gives what was told on the way."""

    async def fetched(bucket, key, told, **credentials):
        config = S3Config(endpoint=tables.address, secure=False, **credentials)
        fetcher = SourceFetcher(
            FolderStore(tmp_path / "cache"),
            partial=tmp_path / "cache" / "partial",
            s3=S3Addresses(config).of,
            patience=PATIENCE,
        )
        return await fetcher.fetch("Mine", S3Object(bucket, key, UNPROVEN), told)

    return fetched


KEYS = {"access_key": ACCESS_KEY, "secret_key": SECRET_KEY}


@pytest.mark.parametrize("region", [None, "us-east-1"])
async def test_an_object_comes_whole_in_ranges(fetch, region):
    told = []
    source = await fetch("tables", "deep/my é.tsv", told.append, region=region, **KEYS)
    assert source.path.read_bytes() == CONTENT
    assert {step.total for step in told if step.done} == {len(CONTENT)}


@pytest.mark.parametrize(
    ("bucket", "key", "credentials", "why"),
    [
        ("tables", "other.tsv", KEYS, "404 Not Found (NoSuchKey)"),
        ("nothing", "other.tsv", KEYS | {"region": "us-east-1"}, "(NoSuchBucket)"),
        ("nothing", "other.tsv", KEYS, "NoSuchBucket"),
        ("tables", "deep/my é.tsv", {}, "403 Forbidden (AccessDenied)"),
        ("tables", "x", KEYS | {"secret_key": "wrong"}, "SignatureDoesNotMatch"),
        (
            "tables",
            "x",
            {"access_key": "who", "secret_key": "wrong", "region": "us-east-1"},
            "403 Forbidden (InvalidAccessKeyId)",
        ),
        ("B", "x", KEYS, "bucket"),
    ],
)
async def test_a_refusal_carries_s3s_own_word_and_no_signature(
    fetch, bucket, key, credentials, why
):
    with pytest.raises(DatasetError) as refused:
        await fetch(bucket, key, lambda _step: None, **credentials)
    assert why in str(refused.value)
    assert "X-Amz" not in str(refused.value)
    assert f"s3://{bucket}/{key}" in str(refused.value)
    assert refused.value.cure
