"""Options of the whole test suite."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--update-test-data` rewrites golden files instead of comparing with them."""
    parser.addoption(
        "--update-test-data",
        action="store_true",
        help="write golden files below tests/data anew, and skip the tests that did",
    )
