"""Each test of a store in a bucket has a bucket of its own."""

import uuid

import pytest
from minio import Minio

from assay.store.s3 import S3Store
from support.minio_server import ACCESS_KEY, SECRET_KEY


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
