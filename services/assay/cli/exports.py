"""What `assay report` makes of a run for other programs, and the thresholds it holds it against."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from assay.process.contract import ExitCode
from assay.report.junit import junit_xml
from assay.report.spreadsheet import figures_csv, samples_csv
from assay.report.thresholds import check, parse_threshold
from assay.report.to_mlflow import log_to_mlflow
from assay.report.whole import whole


class Exports:
    """The exports of one run; thresholds are refused before anything is written."""

    def __init__(
        self, run_dir: Path, report: dict[str, Any], thresholds: Sequence[str]
    ) -> None:
        """Reads the thresholds.

        Raises:
            ConfigError: one is none, or can never be reached or missed in this run.
        """
        self._run_dir = run_dir
        self._report = report
        self._checks = check(report, [parse_threshold(text) for text in thresholds])

    def junit(self) -> bytes:
        """Tasks and thresholds as tests."""
        return junit_xml(self._report, self._checks)

    def figures(self) -> bytes:
        """All figures."""
        return figures_csv(self._report)

    def samples(self) -> bytes:
        """All samples.

        Raises:
            CorruptError: a sample table cannot be read.
        """
        return samples_csv(self._run_dir, self._report)

    def mlflow(self) -> list[str]:
        """Logs the run, and returns the ids MLflow gave it.

        Raises:
            PermanentError, UnavailableError: MLflow is not installed, or did not take it.
        """
        return log_to_mlflow(self._run_dir, self._report)

    def write(self, file: Path, data: bytes) -> Path:
        """Writes one file.

        Raises:
            StoreUnavailableError: it cannot be written.
        """
        with whole(file) as path:
            path.write_bytes(data)
        return file

    def judge(self) -> None:
        """Says of every threshold whether it was reached.

        Raises:
            typer.Exit: one was missed.
        """
        for each in self._checks:
            # Beside what is printed for programs, not in it.
            typer.echo(each.line, err=True)
        if not all(each.reached for each in self._checks):
            raise typer.Exit(ExitCode.BELOW_THRESHOLD)
