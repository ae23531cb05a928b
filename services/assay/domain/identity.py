"""Digests over what can change a result, and over nothing else (URLs, keys, retries, sizes are not)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict

from assay.domain.run import Dataset, Judge, Model, Run


def canonical_digest(value: object) -> str:
    """The sha256, hex, of `value` as JSON with sorted keys and no white space.

    Raises:
        TypeError: `value` holds something JSON cannot say.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def model_identity(model: Model) -> dict[str, object]:
    """What of a model can change an answer: its names, decoding, picture policy, revision, engine."""
    launched = {} if model.launched is None else {"launched": asdict(model.launched)}
    local = {} if model.local is None else {"local": model.local.identity()}
    return {
        "kind": model.kind,
        "served_name": model.served_name,
        "revision": model.revision,
        "decoding": asdict(model.decoding),
        "pictures": model.pictures.identity(),
        **launched,
        **local,
    }


def task_digest(
    model: Model, prepared_digest: str, limit: int | None, fresh: str
) -> str:
    """Names the predictions of a task: equal digests may share answers."""
    return canonical_digest(
        {
            "model": model_identity(model),
            "dataset": prepared_digest,
            "limit": limit,
            "fresh": fresh,
        }
    )


def _dataset_identity(dataset: Dataset) -> list[object]:
    """A name and the digest of its file, if the user gave one; members only where they have one."""
    given = dataset.source.sha256 or dataset.source.md5 if dataset.source else None
    members = [_dataset_identity(member) for member in dataset.members]
    known = [member for member in members if member[1]]
    return [dataset.name, given, *known]


def judge_identity(judge: Judge) -> dict[str, object]:
    """What of a judge model can change its answers."""
    launched = {"launched": asdict(judge.launched)} if judge.launched else {}
    return {
        "model": judge.served_name,
        "settings": dict(judge.settings),
        **launched,
    }


def _judge_identity(run: Run) -> object:
    """Who decides; a judge model by what can change its answers, and by its name in upstream's files."""
    judge = run.judge_model
    if judge is None:
        return run.judge
    return {"label": judge.label, **judge_identity(judge)}


def spec_identity(run: Run) -> dict[str, object]:
    """What of a run can change its results, as the user wrote it, by field.

    `mode` is not in it: it says how far a run is taken, and a run that inferred is scored later.
    """
    return {
        "models": {model.key: model_identity(model) for model in run.models},
        "datasets": [
            _dataset_identity(dataset)
            for dataset in sorted(run.datasets, key=lambda each: each.name)
        ],
        "limit": run.limit,
        "judge": _judge_identity(run),
        "coverage_threshold": run.coverage_threshold,
        "fresh": run.fresh,
    }


def spec_digest(run: Run) -> str:
    """Names an execution: the identity-bearing fields as the user wrote them."""
    return canonical_digest(spec_identity(run))
