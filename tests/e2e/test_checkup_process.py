"""What `helm test` runs says whether services and store work, and which does not."""

from __future__ import annotations

import asyncio
import json
import sys
import uuid

import pytest

from assay.process.contract import ExitCode
from assay.store.s3 import S3Store
from support.bucket_services import TOKEN, services


@pytest.fixture
def store(minio):
    return minio.config(bucket=f"b-{uuid.uuid4().hex[:12]}", create_bucket=True)


async def checkup(folder, made, store, **changes):
    """Its exit code, and what it said of each part."""
    document = {"token": TOKEN, "patience": 0.0, "aggregator": made.aggregator}
    document |= {"datasets": made.dataset, "store": store.model_dump(mode="json")}
    for name in ("access_key", "secret_key"):
        document["store"][name] = getattr(store, name).get_secret_value()
    place = folder / f"{uuid.uuid4().hex}.json"
    place.write_text(json.dumps(document | changes))
    command = [sys.executable, "-m", "assay.checkup.main", "--config", place]
    process = await asyncio.create_subprocess_exec(
        *command, stderr=asyncio.subprocess.PIPE
    )
    _, said = await process.communicate()
    lines = [json.loads(line) for line in said.decode().splitlines()]
    told = {line["what"]: line.get("error", "") for line in lines if "what" in line}
    return process.returncode, told


async def test_a_release_that_works_is_said_to_and_nothing_is_left_in_its_store(
    store, tmp_path
):
    async with services(tmp_path, store) as made:
        code, told = await checkup(tmp_path, made, store)
    assert (code, told) == (
        ExitCode.OK,
        {"aggregator": "", "dataset service": "", "store": ""},
    )
    assert list(S3Store(store).list("blobs/")) == []


async def test_what_does_not_work_is_named_and_the_rest_is_looked_at(store, tmp_path):
    async with services(tmp_path, store) as made:
        stranger = store.model_copy(update={"owner": "another release"})
        code, told = await checkup(
            tmp_path, made, stranger, aggregator="127.0.0.1:1", token="wrong"
        )
    assert code == ExitCode.FAILED
    assert "127.0.0.1:1" in told["aggregator"]
    assert "no valid token" in told["dataset service"]
    assert "another release" in told["store"] or "this cluster" in told["store"]
