"""The Jobs of a run: one elastic Indexed Job of workers per model, one Job per scorer.

Pure: the controller creates what is built here, and patches with what is said here. A Job's template never
changes; another one is a new Job with the next generation in its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from assay.controller.evalrun import Request
from assay.controller.placement import PodImages
from assay.controller.pods import (
    AUTHORITY,
    KEY,
    METRICS_PORT,
    STORE_AUTHORITY,
    TOKEN,
    Beside,
    Manifest,
    Part,
    Platform,
    Weights,
    pod_spec,
)
from assay.domain.identity import canonical_digest
from assay.domain.judge import JUDGE_QUEUE, all_asked
from assay.domain.run import Model
from assay.domain.task import TaskId
from assay.kube.objects import ObjectMeta
from assay.kube.resources import EVAL_RUNS, JOBS
from assay.process.configs import InferConfig, ScorerConfig
from assay.process.contract import ChannelTls, ExitCode, ProcessConfig
from assay.rpc.callers import Role

WORKER = "worker"
SCORER = "scorer"

RUN_LABEL = "assay.dev/run"
SEAT_LABEL = "assay.dev/seat"
GENERATION_LABEL = "assay.dev/generation"
MODEL_NOTE = "assay.dev/model"
DATASET_NOTE = "assay.dev/dataset"
TEMPLATE_NOTE = "assay.dev/template"

DRAIN_SECONDS = 20
"""What requests in flight get after SIGTERM."""

_DRAINED_SECONDS = 15
"""What a worker may need besides: committing what landed, giving leases back, closing."""

_SCORER_GRACE = 10

_FAILURES_PER_SEAT = 5
"""The sixth failure gives a seat up, as `assay.domain.restarts` does."""

_PERMANENT = (ExitCode.BAD_CONFIG, ExitCode.HELD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The EvalRun that Jobs belong to, and its request."""

    metadata: ObjectMeta
    request: Request


def worker_job(
    owner: Owner, model_key: str, platform: Platform, *, generation: int
) -> Manifest:
    """The workers of a model, or of the judge: a seat each, refilled until the queue is closed."""
    request = owner.request
    model, role = all_asked(request.run)[model_key], role_of(model_key)
    pods = request.placement.of(model.key)
    # What we launch or build asks for no key, so none has to be there.
    ours = pods.serving is not None or model.local is not None
    keyed = request.keys_secret and not ours
    key = (request.keys_secret, _key_of(model_key, request)) if keyed else None
    images = request.placement.images.over(platform.images)
    config = InferConfig(
        **_calls(request.run_id, platform.aggregator, platform),
        listen="",
        metrics_listen=f"0.0.0.0:{METRICS_PORT}",
        queue=model.key,
        model=asdict(model),
        api_key_file=Path(KEY) if key else None,
        store_ca_file=Path(STORE_AUTHORITY) if platform.store_ca_secret else None,
        drain_seconds=DRAIN_SECONDS,
    )
    part = Part(
        role=role,
        container=WORKER,
        run_id=request.run_id,
        image=_image(images, role, model),
        config=_json(config),
        scheduling=pods,
        grace=DRAIN_SECONDS + _DRAINED_SECONDS,
        key=key,
        beside=Beside(
            serving=pods.serving,
            served_name=model.served_name,
            gpu_resource=request.placement.gpu_resource,
        )
        if pods.serving
        else None,
        weights=_weights(request, model),
    )
    spec = {
        **seats(pods.replicas),
        "completionMode": "Indexed",
        "backoffLimitPerIndex": _FAILURES_PER_SEAT,
    }
    notes = {MODEL_NOTE: model.key}
    return _job(owner, part, platform, generation=generation, spec=spec, notes=notes)


def _weights(request: Request, model: Model) -> Weights | None:
    """What a model that is built in its worker is given."""
    if model.local is None:
        return None
    given = request.placement.of(model.key).local
    return Weights(
        claim=given.claim,
        path=given.path,
        gpus=given.gpus,
        gpu_resource=request.placement.gpu_resource,
    )


def _image(images: PodImages, role: Role, model: Model) -> str:
    if role is Role.JUDGE:
        return images.judge
    return images.worker if model.local is None else images.torch


def scorer_job(
    owner: Owner, task: TaskId, platform: Platform, *, generation: int
) -> Manifest:
    """One scorer of a task; when it fails, `decide` says whether there is to be another."""
    request = owner.request
    config = ScorerConfig(
        **_calls(request.run_id, platform.scoring, platform),
        model=task.model,
        dataset=task.dataset,
    )
    part = Part(
        role=Role.SCORER,
        container=SCORER,
        run_id=request.run_id,
        image=request.placement.images.over(platform.images).scorer,
        config=_json(config),
        scheduling=request.placement.scorer,
        grace=_SCORER_GRACE,
    )
    notes = {MODEL_NOTE: task.model, DATASET_NOTE: task.dataset}
    spec = {"completions": 1, "parallelism": 1, "backoffLimit": 0}
    return _job(owner, part, platform, generation=generation, spec=spec, notes=notes)


def seats(replicas: int) -> Manifest:
    """How many seats a Job has: only both together may change."""
    return {"completions": replicas, "parallelism": replicas}


def rescaled(replicas: int) -> Manifest:
    """The patch that gives a running Job another number of seats."""
    return {"spec": seats(replicas)}


def suspended(*, away: bool) -> Manifest:
    """The patch that keeps a Job's pods away, or lets them come; in a queue that is the queue's business."""
    return {"spec": {"suspend": away}}


def expiring(seconds: int) -> Manifest:
    """The patch that lets a finished Job go; only once the run's results are stored."""
    return {"spec": {"ttlSecondsAfterFinished": seconds}}


def role_of(model: str) -> Role:
    """What the workers of a model, or of the judge, are."""
    return Role.JUDGE if model == JUDGE_QUEUE else Role.INFER


def _key_of(model: str, request: Request) -> str:
    """Where the key stands in the Secret of keys."""
    if model == JUDGE_QUEUE:
        return "judge"
    return f"model.{[m.key for m in request.run.models].index(model)}"


def seat_of(run_id: str, role: Role, model: str, dataset: str = "") -> str:
    """The label that the Jobs of one seat share over all generations."""
    told = f"{run_id}\0{role}\0{model}\0{dataset}"
    return f"{role}-{sha256(told.encode()).hexdigest()[:8]}"


def _calls(run_id: str, aggregator: str, platform: Platform) -> Mapping[str, Any]:
    """How a process finds the aggregator, and proves itself."""
    tls = ChannelTls(ca_file=Path(AUTHORITY), server_name=platform.server_name)
    return {
        "aggregator": aggregator,
        "run_id": run_id,
        "token_file": Path(TOKEN),
        "tls": tls,
    }


def _json(config: ProcessConfig) -> str:
    """What the process reads; secrets stand in no field of it, only paths of theirs."""
    return config.model_dump_json(exclude_unset=True)


def _job(
    owner: Owner,
    part: Part,
    platform: Platform,
    *,
    generation: int,
    spec: Manifest,
    notes: Mapping[str, str],
) -> Manifest:
    request = owner.request
    seat = seat_of(request.run_id, part.role, *notes.values())
    labels = _labels(request.run_id, part.role, seat, platform)
    template = {
        "metadata": {
            "labels": {**part.scheduling.pod_labels, **labels},
            "annotations": {**part.scheduling.pod_annotations, **notes},
        },
        "spec": pod_spec(
            part, platform, request.placement.images.over(platform.images)
        ),
    }
    return {
        "apiVersion": JOBS.api_version,
        "kind": JOBS.kind,
        "metadata": {
            "name": f"{request.run_id}-{seat}-{generation}",
            "namespace": platform.namespace,
            "labels": {
                **labels,
                GENERATION_LABEL: str(generation),
                **_queue(request),
            },
            "annotations": {**notes, TEMPLATE_NOTE: canonical_digest(template)[:16]},
            "ownerReferences": [_owner(owner.metadata)],
        },
        "spec": {
            **spec,
            "suspend": request.suspend,
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {"rules": _rules(part.container)},
            "template": template,
        },
    }


def _labels(run_id: str, role: Role, seat: str, platform: Platform) -> dict[str, str]:
    return {
        "app.kubernetes.io/name": "assay",
        "app.kubernetes.io/instance": platform.release,
        "app.kubernetes.io/component": str(role),
        "app.kubernetes.io/version": platform.version,
        "app.kubernetes.io/part-of": "assay",
        "app.kubernetes.io/managed-by": "assay",
        RUN_LABEL: run_id,
        SEAT_LABEL: seat,
    }


def _queue(request: Request) -> dict[str, str]:
    queue = request.placement.queue
    labels = {
        "kueue.x-k8s.io/queue-name": queue.name,
        "kueue.x-k8s.io/priority-class": queue.priority_class,
    }
    return {name: value for name, value in labels.items() if value}


def _owner(metadata: ObjectMeta) -> Manifest:
    # Blocking the owner's deletion needs a right over its finalizers, and nothing here needs it blocked.
    return {
        "apiVersion": EVAL_RUNS.api_version,
        "kind": EVAL_RUNS.kind,
        "name": metadata.name,
        "uid": metadata.uid,
        "controller": True,
    }


def _rules(container: str) -> list[Manifest]:
    """What is no failure, and what no other pod could do better; the first that fits counts."""
    return [
        {
            "action": "Ignore",
            "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
        },
        _on_exit("Ignore", container, ExitCode.RETRY),
        _on_exit("FailJob", container, *_PERMANENT),
    ]


def _on_exit(action: str, container: str, *codes: ExitCode) -> Manifest:
    return {
        "action": action,
        "onExitCodes": {
            "containerName": container,
            "operator": "In",
            "values": sorted(int(code) for code in codes),
        },
    }
