"""FolderStore: whole or absent, durable, inside its folders, with errors that name the folder."""

import errno
import os
import threading

import pytest

from assay.domain.errors import NotFoundError, PermanentError, StoreFullError
from assay.store.folder import FolderStore


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path / "cache", tmp_path / "run")


def test_an_object_comes_back_as_it_was_put(store):
    store.put("datasets/a/b/manifest.json", b"one")
    store.put("datasets/a/b/manifest.json", b"two")
    assert store.get("datasets/a/b/manifest.json") == b"two"


def test_a_range_ends_where_the_object_ends(store):
    store.put("blobs/sha256/aa/aab", b"0123456789")
    assert store.get_range("blobs/sha256/aa/aab", 7, 10) == b"789"


def test_an_absent_object_has_no_size_and_cannot_be_read(store):
    assert store.size("blobs/x") is None
    with pytest.raises(NotFoundError, match="blobs/x"):
        store.get("blobs/x")


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


@pytest.mark.parametrize(
    "key",
    [
        "../x",
        "blobs/../../x",
        "/etc/passwd",
        "blobs//x",
        "runs/r/results/../x",
        "",
        "a",
    ],
)
def test_a_key_that_leaves_the_store_is_refused(store, key):
    with pytest.raises(PermanentError, match="cannot place object"):
        store.put(key, b"x")


def test_the_list_is_in_order_and_leaves_unfinished_writes_out(store, tmp_path):
    for name in ("b", "a", "c/d"):
        store.put(f"runs/r/epochs/{name}", b"")
    (tmp_path / "run/.assay/epochs/.tmp-1").write_bytes(b"part")
    assert list(store.list("runs/r/epochs/")) == [
        "runs/r/epochs/a",
        "runs/r/epochs/b",
        "runs/r/epochs/c/d",
    ]


def test_results_are_listed_apart_from_the_runs_own_state(store):
    store.put("runs/r/results/report.json", b"")
    store.put("runs/r/spec.json", b"")
    assert list(store.list("runs/r/results/")) == ["runs/r/results/report.json"]
    assert list(store.list("runs/r/")) == [
        "runs/r/results/report.json",
        "runs/r/spec.json",
    ]


def test_a_list_of_nothing_is_empty(store):
    assert list(store.list("datasets/none/")) == []


def test_a_file_is_moved_in(store, tmp_path):
    source = tmp_path / "source"
    source.write_bytes(b"big")
    store.put_file("blobs/big", source)
    assert store.get("blobs/big") == b"big"
    assert not source.exists()


def test_deleting_twice_is_no_error(store):
    store.put("blobs/x", b"")
    store.delete("blobs/x")
    store.delete("blobs/x")
    assert store.size("blobs/x") is None


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


def test_writers_of_one_key_never_show_a_part(store):
    values = [bytes([n]) * 50_000 for n in range(4)]

    def write(data):
        for _ in range(10):
            store.put("blobs/x", data)

    store.put("blobs/x", values[0])
    threads = [threading.Thread(target=write, args=(v,)) for v in values]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert store.get("blobs/x") in values


def test_an_address_can_be_opened(store):
    store.put("datasets/a b/d/x", b"1")
    assert store.url("datasets/a b/d/x").startswith("file:///")
    assert "a%20b" in store.url("datasets/a b/d/x")
