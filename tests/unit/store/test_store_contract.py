"""What every store promises, tried with each of them: a folder, and a bucket of a real MinIO."""

import threading

import pytest

from assay.domain.errors import NotFoundError, PermanentError
from assay.store.folder import FolderStore


@pytest.fixture(params=["folder", "s3"])
def store(request, tmp_path):
    if request.param == "s3":
        return request.getfixturevalue("s3")
    return FolderStore(tmp_path / "cache", tmp_path / "run")


def test_an_object_comes_back_as_it_was_put(store):
    store.put("datasets/a/b/manifest.json", b"one")
    store.put("datasets/a/b/manifest.json", b"two")
    assert store.get("datasets/a/b/manifest.json") == b"two"


def test_an_empty_object_is_an_object(store):
    store.put("blobs/empty", b"")
    assert store.get("blobs/empty") == b""
    assert store.size("blobs/empty") == 0
    assert store.get_range("blobs/empty", 0, 10) == b""


@pytest.mark.parametrize(
    ("offset", "length", "part"),
    [(0, 4, b"0123"), (7, 10, b"789"), (4, 0, b""), (10, 5, b""), (99, 5, b"")],
)
def test_a_range_ends_where_the_object_ends(store, offset, length, part):
    store.put("blobs/sha256/aa/aab", b"0123456789")
    assert store.get_range("blobs/sha256/aa/aab", offset, length) == part


def test_an_absent_object_has_no_size_and_cannot_be_read(store):
    assert store.size("blobs/x") is None
    with pytest.raises(NotFoundError, match="blobs/x"):
        store.get("blobs/x")
    with pytest.raises(NotFoundError, match="blobs/x"):
        store.get_range("blobs/x", 3, 4)


@pytest.mark.parametrize(
    "key",
    [
        "../x",
        "blobs/../../x",
        "/etc/passwd",
        "blobs//x",
        "runs/r/results/../x",
        "runs/r",
        "",
        "a",
    ],
)
def test_a_key_that_leaves_the_store_is_refused(store, key):
    with pytest.raises(PermanentError, match="cannot place object"):
        store.put(key, b"x")


def test_the_list_is_in_order_and_goes_into_folders(store):
    for name in ("b", "a", "c/d", "é"):
        store.put(f"runs/r/epochs/{name}", b"")
    store.put("runs/r/epochs2", b"")
    assert list(store.list("runs/r/epochs/")) == [
        "runs/r/epochs/a",
        "runs/r/epochs/b",
        "runs/r/epochs/c/d",
        "runs/r/epochs/é",
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


def test_the_whole_store_is_never_listed(store):
    with pytest.raises(PermanentError, match="cannot place object ''"):
        list(store.list(""))


def test_a_file_becomes_an_object(store, tmp_path):
    source = tmp_path / "source"
    source.write_bytes(b"big")
    store.put_file("blobs/big", source)
    assert store.get("blobs/big") == b"big"


def test_deleting_twice_is_no_error(store):
    store.put("blobs/x", b"")
    store.delete("blobs/x")
    store.delete("blobs/x")
    assert store.size("blobs/x") is None


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


NAMES = ["a", "a-1", "a0", "ab", "b.2"]
"""In key order they stand otherwise: what follows a name in a key is a slash."""


def test_folders_are_named_once_each_and_only_where_something_is_below_them(store):
    store.put("datasets/file", b"")
    for name in NAMES:
        store.put(f"datasets/{name}/x/manifest.json", b"")
        store.put(f"datasets/{name}/y", b"")
    found = list(store.folders("datasets/"))
    assert sorted(found) == sorted(NAMES)
    assert list(store.folders("datasets/a/")) == ["x"]
    assert list(store.folders("datasets/none/")) == []


@pytest.mark.parametrize("after", NAMES)
def test_folders_behind_one_are_the_rest_of_all(store, after):
    for name in NAMES:
        store.put(f"datasets/{name}/x/manifest.json", b"")
    found = list(store.folders("datasets/"))
    rest = found[found.index(after) + 1 :]
    assert list(store.folders("datasets/", after)) == rest
