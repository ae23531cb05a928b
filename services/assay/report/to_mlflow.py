"""A run handed to MLflow, where that is installed; `assay report --mlflow` calls it.

One MLflow run per model: its settings as parameters, its figures as metrics, the report and its sample
tables as artifacts. Where to, MLflow itself knows (`MLFLOW_TRACKING_URI`, `MLFLOW_EXPERIMENT_NAME`).
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assay.domain.errors import PermanentError, UnavailableError
from assay.report.html_view import flat

Report = Mapping[str, Any]

_LONGEST = 500
"""Characters of a parameter that every MLflow takes."""


def log_to_mlflow(run_dir: Path, report: Report) -> list[str]:
    """Logs every model of a run; returns the ids of the MLflow runs.

    Raises:
        PermanentError: MLflow is not installed.
        UnavailableError: MLflow could not take it.
    """
    try:
        mlflow: Any = importlib.import_module("mlflow")
    except ImportError as error:
        raise PermanentError(
            f"cannot log to MLflow: {error}",
            cure="install it beside assay (pip install mlflow-skinny), and set MLFLOW_TRACKING_URI",
        ) from error
    models = dict.fromkeys(task["model"] for task in report["tasks"])
    try:
        return [_log(mlflow, run_dir, report, model) for model in models]
    except (mlflow.exceptions.MlflowException, OSError) as error:
        raise UnavailableError(
            f"cannot log to MLflow: {error}",
            cure="look at MLFLOW_TRACKING_URI and whether its server answers",
        ) from error


def _log(mlflow: Any, run_dir: Path, report: Report, model: str) -> str:
    tasks = [task for task in report["tasks"] if task["model"] == model]
    run = report["run"]
    tags = {
        "assay.run": run["id"],
        "assay.model": model,
        "assay.state": run["state"],
        "assay.spec_digest": run["spec_digest"],
    }
    with mlflow.start_run(run_name=f"{run['name'] or run['id']} {model}") as active:
        mlflow.set_tags(tags)
        mlflow.log_params(_parameters(report, model, tasks))
        mlflow.log_metrics(_metrics(tasks))
        for name in ("report.json", "metrics.json", "report.html"):
            if (run_dir / name).is_file():
                mlflow.log_artifact(str(run_dir / name))
        for task in tasks:
            if task["samples"]:
                mlflow.log_artifact(str(run_dir / task["samples"]), f"samples/{model}")
        return str(active.info.run_id)


def _parameters(report: Report, model: str, tasks: list[Report]) -> dict[str, str]:
    parts = report["provenance"]
    found = flat(parts["models"][model])
    found += flat(report["settings"]) + flat(parts["versions"])
    for task in tasks:
        name = task["dataset"]
        digests = task["digests"]
        found += [(f"{name}.{key}_digest", value) for key, value in digests.items()]
    return {_name(key): value[:_LONGEST] for key, value in found}


def _metrics(tasks: list[Report]) -> dict[str, float]:
    found: dict[str, float] = {}
    for task in tasks:
        name = task["dataset"]
        for metric in task["metrics"]:
            if metric["value"] is not None:
                split = metric["split"]
                part = "" if split.lower() in {"", "none"} else f"/{split}"
                found[_name(f"{name}{part}/{metric['name']}")] = metric["value"]
        if task["coverage"] is not None:
            found[_name(f"{name}/coverage")] = task["coverage"]
        found[_name(f"{name}/unscored")] = task["counts"]["unscored"]
    return found


def _name(text: str) -> str:
    """MLflow's names hold letters, digits and `_-. /` only, and begin and end with none of the latter."""
    plain = re.sub(r"[^\w\-. /]", "_", text.replace(" · ", "."), flags=re.ASCII)
    return plain[:250].strip("/. ") or "_"
