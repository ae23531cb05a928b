"""A MinIO that all tests of stores share; each test has a bucket of its own."""

import uuid

import pytest
from minio import Minio

from assay.store.s3 import S3Store
from support.binaries import MissingError, binary
from support.minio_server import ACCESS_KEY, SECRET_KEY, running_minio


@pytest.fixture(scope="session")
def minio(tmp_path_factory):
    """A running server; skipped where its binary could not be built."""
    try:
        binary("minio")
    except MissingError as error:
        pytest.skip(str(error))
    with running_minio(tmp_path_factory.mktemp("minio")) as server:
        yield server


@pytest.fixture
def admin(minio):
    """Its administrator, who makes buckets and policies."""
    return Minio(minio.address, ACCESS_KEY, SECRET_KEY, secure=False)


@pytest.fixture
def bucket(admin):
    """The name of an empty bucket."""
    name = f"b-{uuid.uuid4().hex[:12]}"
    admin.make_bucket(name)
    return name


@pytest.fixture
def s3(minio, bucket):
    """A store in that bucket."""
    return S3Store(minio.config(bucket=bucket))
