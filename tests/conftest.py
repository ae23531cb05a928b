"""Options of the whole test suite."""

from __future__ import annotations

import pytest

from support.binaries import MissingError, binary
from support.minio_server import running_minio


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--update-test-data` rewrites golden files instead of comparing with them."""
    parser.addoption(
        "--update-test-data",
        action="store_true",
        help="write golden files below tests/data anew, and skip the tests that did",
    )


@pytest.fixture(scope="session")
def minio(tmp_path_factory):
    """A running MinIO that all tests share; skipped where its binary could not be built."""
    try:
        binary("minio")
    except MissingError as error:
        pytest.skip(str(error))
    with running_minio(tmp_path_factory.mktemp("minio")) as server:
        yield server
