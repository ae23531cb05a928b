"""A metered store is the store, and its numbers are those of its calls."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from assay.domain.errors import NotFoundError, StoreUnavailableError
from assay.store.folder import FolderStore
from assay.store.metered import MeteredStore
from support.aggregator import FaultyStore
from support.scraped import one, scraped


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def metered(tmp_path, registry):
    return MeteredStore(FolderStore(tmp_path / "cache", tmp_path / "run"), registry)


def test_what_is_put_is_read_through_it(metered, tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"of a file")
    metered.put("runs/r/a/one", b"bytes")
    metered.put_file("runs/r/b/two", file)
    assert metered.get("runs/r/a/one") == b"bytes"
    assert metered.get_range("runs/r/b/two", 3, 1) == b"a"
    assert metered.size("runs/r/b/two") == 9
    assert list(metered.list("runs/r/")) == ["runs/r/a/one", "runs/r/b/two"]
    assert metered.url("runs/r/a/one").startswith("file://")
    metered.delete("runs/r/a/one")
    assert metered.size("runs/r/a/one") is None


def test_every_call_is_counted_and_an_absent_object_is_no_failure(metered, registry):
    metered.put("runs/r/a", b"bytes")
    with pytest.raises(NotFoundError):
        metered.get("runs/r/none")
    found = scraped(registry)
    assert one(found, "assay_store_seconds_count", operation="put") == 1
    assert one(found, "assay_store_seconds_count", operation="get") == 1
    errors = [v for (name, _), v in found.items() if name == "assay_store_errors_total"]
    assert set(errors) == {0.0}


def test_a_failure_is_counted_with_its_reason(tmp_path, registry):
    inner = FolderStore(tmp_path / "cache", tmp_path / "run")
    faulty = FaultyStore(inner, [StoreUnavailableError("gone")])
    with pytest.raises(StoreUnavailableError):
        MeteredStore(faulty, registry).put("runs/r/1.seg", b"bytes")
    found = scraped(registry)
    reason = {"operation": "put", "reason": "store_unavailable"}
    assert one(found, "assay_store_errors_total", **reason) == 1
