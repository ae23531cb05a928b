"""FolderStore beside what every store promises: its places, durable writes, errors with the folder."""

import errno
import os

import pytest

from assay.domain.errors import StoreFullError
from assay.store.folder import FolderStore


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path / "cache", tmp_path / "run")


@pytest.mark.parametrize(
    ("key", "place"),
    [
        ("blobs/sha256/aa/x", "cache/blobs/sha256/aa/x"),
        ("datasets/D/d/table.tsv", "cache/datasets/D/d/table.tsv"),
        ("runs/r/results/report.json", "run/report.json"),
        ("runs/r/spec.json", "run/.assay/spec.json"),
        ("runs/r/tasks/m/d/task.json", "run/.assay/tasks/m/d/task.json"),
    ],
)
def test_each_kind_of_key_has_its_folder(store, tmp_path, key, place):
    assert store.path(key) == tmp_path / place


def test_the_list_leaves_unfinished_writes_out(store, tmp_path):
    for name in ("b", "a", "c/d"):
        store.put(f"runs/r/epochs/{name}", b"")
    (tmp_path / "run/.assay/epochs/.tmp-1").write_bytes(b"part")
    assert list(store.list("runs/r/epochs/")) == [
        "runs/r/epochs/a",
        "runs/r/epochs/b",
        "runs/r/epochs/c/d",
    ]


def test_a_file_is_moved_in(store, tmp_path):
    source = tmp_path / "source"
    source.write_bytes(b"big")
    store.put_file("blobs/big", source)
    assert store.get("blobs/big") == b"big"
    assert not source.exists()


@pytest.mark.parametrize(
    ("number", "cure"),
    [
        (errno.ENOSPC, "make room"),
        (errno.EROFS, "writable"),
        (errno.EACCES, "writable"),
    ],
)
def test_a_store_without_room_names_the_folder_and_the_cure(
    store, tmp_path, monkeypatch, number, cure
):
    def fail(_fd):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StoreFullError) as caught:
        store.put("blobs/x", b"data")
    assert str(tmp_path / "cache" / "blobs") in str(caught.value)
    assert cure in caught.value.cure


def test_a_failed_write_leaves_the_old_object_and_no_rubbish(
    store, tmp_path, monkeypatch
):
    store.put("blobs/x", b"old")

    def fail(_fd):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StoreFullError):
        store.put("blobs/x", b"new")
    assert store.get("blobs/x") == b"old"
    assert [p.name for p in (tmp_path / "cache/blobs").iterdir()] == ["x"]


def test_an_address_can_be_opened(store):
    store.put("datasets/a b/d/x", b"1")
    assert store.url("datasets/a b/d/x").startswith("file:///")
    assert "a%20b" in store.url("datasets/a b/d/x")
