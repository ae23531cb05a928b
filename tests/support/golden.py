"""Golden files: what a test expects, kept in tests/data and rewritten by `--update-test-data`."""

from __future__ import annotations

from pathlib import Path

import pytest

DATA = Path(__file__).parents[1] / "data"


def check_golden(request: pytest.FixtureRequest, name: str, actual: bytes) -> None:
    """Compares `actual` with the file `name` below tests/data, or writes it there if so asked."""
    path = DATA / name
    if request.config.getoption("--update-test-data"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(actual)
        pytest.skip(f"wrote {name}")
    assert path.read_bytes().decode() == actual.decode()
