"""Options of the whole test suite, and the cluster that its last tests need."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support import cluster_entered
from support.binaries import MissingError, binary
from support.minio_server import running_minio


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--update-test-data` rewrites golden files instead of comparing with them."""
    parser.addoption(
        "--update-test-data",
        action="store_true",
        help="write golden files below tests/data anew, and skip the tests that did",
    )


def _in_cluster(item: pytest.Item) -> bool:
    return item.path.is_relative_to(Path(__file__).parent / "cluster")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The cluster's tests come last: nothing else runs beside its servers, or in its network."""
    items.sort(key=_in_cluster)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Brings the cluster up before its first test, outside of that test's time."""
    if _in_cluster(item):
        cluster_entered.enter()
    return (yield)


def pytest_sessionfinish() -> None:
    """Takes it away."""
    cluster_entered.leave()


@pytest.fixture(scope="session")
def minio(tmp_path_factory):
    """A running MinIO that all tests share; skipped where its binary could not be built."""
    try:
        binary("minio")
    except MissingError as error:
        pytest.skip(str(error))
    with running_minio(tmp_path_factory.mktemp("minio")) as server:
        yield server
