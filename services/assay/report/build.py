"""`report.json` and `metrics.json` from a run as it ended; the aggregator writes them when it finishes a run.

Two files, because they answer two questions: `report.json` says what happened (states, reasons, times,
provenance); `metrics.json` says only what came out, so that a repeated or resumed run writes equal bytes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from urllib.parse import urlsplit, urlunsplit

from assay.domain.judge import EXACT, JUDGE_PROMPTS
from assay.domain.report import JudgeTally, RunReport, TaskReport
from assay.domain.run import Dataset, Model, Run, SourceOverride
from assay.domain.score import Metric
from assay.domain.task import TaskState

REPORT_SCHEMA = "assay.report/v1"
METRICS_SCHEMA = "assay.metrics/v1"

Json = dict[str, object]


def report_json(report: RunReport) -> bytes:
    """The whole report as UTF-8 JSON with a stable key order; what is not a number is null."""
    run = report.run
    return _encode(
        {
            "schema": REPORT_SCHEMA,
            "run": {
                "id": report.run_id,
                "name": run.name,
                "state": report.state.value,
                "message": report.message,
                "spec_digest": report.spec_digest,
                "started": report.started,
                "finished": report.finished,
            },
            "settings": {
                "mode": run.mode.value,
                "limit": run.limit,
                "coverage_threshold": run.coverage_threshold,
                "judge": _judge(report),
                "fresh": run.fresh,
            },
            "notes": list(run.notes),
            "tasks": [_task(task, run) for task in report.tasks],
            "provenance": _provenance(report),
        }
    )


def metrics_json(report: RunReport) -> bytes:
    """All tasks' metrics, ordered by task: nothing of time, place or circumstance is in it."""
    return _encode(
        {
            "schema": METRICS_SCHEMA,
            "tasks": [
                {
                    "model": task.id.model,
                    "dataset": task.id.dataset,
                    "judge": task.judge,
                    "total": task.counts.total,
                    "scored": task.counts.scored,
                    "unscored": task.counts.unscored,
                    "coverage": coverage(task),
                    "metrics": [_metric(metric) for metric in task.metrics],
                }
                for task in sorted(report.tasks, key=lambda task: task.id)
            ],
        }
    )


def coverage(task: TaskReport) -> float | None:
    """Scored / total; None where there is nothing, or by design nothing to score."""
    ended = task.state in {TaskState.COMPLETE, TaskState.BELOW_COVERAGE}
    answered_only = ended and task.counts.predicted > 0
    if task.counts.total == 0 or answered_only:
        return None
    return task.counts.scored / task.counts.total


def _judge(report: RunReport) -> Json:
    """Who decided where rules could not, what it was asked with, and what that took."""
    run, told = report.run, {}
    if run.judge_model is not None:
        told = {
            "model": run.judge_model.served_name,
            "api_base": without_query(run.judge_model.api_base),
            "settings": dict(run.judge_model.settings),
            "used": _used(report.judge, run) if report.judge else None,
        }
    return {"name": run.judge, "chosen": run.judge_chosen, **told}


def _used(tally: JudgeTally, run: Run) -> Json:
    """What the judge took, and what that cost; null: no price is given."""
    prompt, completion = run.judge_prices
    cost = tally.prompt_tokens * prompt + tally.completion_tokens * completion
    return {**asdict(tally), "cost": cost / 1e6 if prompt or completion else None}


def _asked_by(task: TaskReport, run: Run) -> Json:
    """Which judge model decided about a task, and with what; empty: rules alone did."""
    judge = run.judge_model
    if judge is None or task.judge == EXACT:
        return {}
    return {
        "model": judge.served_name,
        "api_base": without_query(judge.api_base),
        "settings": dict(judge.settings),
        "prompts": task.provenance.get(JUDGE_PROMPTS, ""),
        "upstream": task.provenance.get("ms-vlmeval", ""),
    }


def _task(task: TaskReport, run: Run) -> Json:
    return {
        "model": task.id.model,
        "dataset": task.id.dataset,
        "state": task.state.value,
        "message": task.message,
        "counts": {
            **asdict(task.counts),
            "unscored_by_reason": {
                reason.value: count
                for reason, count in sorted(task.unscored_by_reason.items())
                if count
            },
        },
        "coverage": coverage(task),
        "judge": {
            "name": task.judge,
            **_asked_by(task, run),
            "exhausted": task.exhausted,
        },
        "metrics": [_metric(metric) for metric in task.metrics],
        "withheld": task.withheld,
        "samples": task.samples,
        "files": list(task.files),
        "digests": {
            "task": task.task_digest,
            "prepared": task.prepared_digest,
            "source": task.source_digest,
        },
        "adopted": dict(sorted(task.adopted.items())),
        "provenance": dict(sorted(task.provenance.items())),
    }


def _metric(metric: Metric) -> Json:
    return {
        "name": metric.name,
        "split": metric.split,
        "value": _number(metric.value),
        "scale": [_number(bound) for bound in metric.scale],
        "n": metric.n,
        "bounds": None
        if metric.bounds is None
        else [_number(bound) for bound in metric.bounds],
        "upstream_value": _number(metric.upstream_value),
        "upstream_reason": metric.upstream_reason,
    }


def _number(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value


def _provenance(report: RunReport) -> Json:
    return {
        "versions": dict(sorted(report.provenance.items())),
        "datasets": {d.name: _dataset(d, report) for d in report.run.datasets},
        "models": {model.key: _model(model) for model in report.run.models},
    }


def _dataset(dataset: Dataset, report: RunReport) -> Json:
    """Where a dataset came from and the digests its tasks were run with."""
    tasks = [task for task in report.tasks if task.id.dataset == dataset.name]
    told: Json = {
        "source_digest": next((t.source_digest for t in tasks if t.source_digest), ""),
        "prepared_digests": sorted({t.prepared_digest for t in tasks} - {""}),
        "source": _source(dataset.source),
    }
    if dataset.members:
        told["members"] = {m.name: _source(m.source) for m in dataset.members}
    return told


def _source(source: SourceOverride | None) -> Json | None:
    """Where the user said a file is; None: he did not."""
    if source is None:
        return None
    return {
        "url": None if source.url is None else without_query(source.url),
        "path": source.path,
        "s3": source.s3,
        "md5": source.md5,
        "sha256": source.sha256,
    }


def _model(model: Model) -> Json:
    """Every parameter of a model; keys are not part of it to begin with."""
    endpoint = model.endpoint
    return {
        "kind": model.kind,
        "served_name": model.served_name,
        "revision": model.revision,
        "decoding": _plain(asdict(model.decoding)),
        "pictures": asdict(model.pictures),
        "nproc": model.nproc,
        **({"launched": asdict(model.launched)} if model.launched else {}),
        **({"local": _plain(asdict(model.local))} if model.local else {}),
        "endpoint": {
            **asdict(endpoint),
            "api_base": without_query(endpoint.api_base),
        },
    }


def without_query(url: str) -> str:
    """An address as it may be shown to anybody."""
    # Signatures and keys travel in queries and before the @.
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(
        (parts.scheme, host, parts.path, "..." if parts.query else "", "")
    )


def _plain(value: object) -> object:
    """The value with numbers JSON cannot say turned to null, at any depth."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return _number(value) if isinstance(value, float) else value


def _encode(document: Json) -> bytes:
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    # Text that is not Unicode (a half of a surrogate pair) comes from outside and must not cost a report.
    return (text + "\n").encode("utf-8", errors="replace")
