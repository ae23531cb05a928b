"""Logs are JSON lines and hold no secrets."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from assay.telemetry.log import set_up_logging


@pytest.fixture
def log_file(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "role.log"
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def test_a_line_names_the_role_and_the_fields(log_file: Path) -> None:
    with set_up_logging("aggregator", file=log_file):
        structlog.get_logger().info("took over", epoch=3)
    line = json.loads(log_file.read_text())
    assert (line["role"], line["event"], line["epoch"]) == (
        "aggregator",
        "took over",
        3,
    )


def test_secrets_are_cut_out_wherever_they_stand(log_file: Path) -> None:
    with set_up_logging("infer", file=log_file, secrets=["sk-0123456789", "EMPTY"]):
        structlog.get_logger().error(
            "401 for Bearer sk-0123456789", key="sk-0123456789"
        )
    text = log_file.read_text()
    assert "sk-0123456789" not in text
    assert "[redacted]" in text
