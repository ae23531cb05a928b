"""The platform that tests of the controller speak of, and Jobs built for it."""

from __future__ import annotations

from typing import Any

from assay.controller.evalrun import read
from assay.controller.jobs import Owner, scorer_job, worker_job
from assay.controller.placement import PodImages
from assay.controller.pods import Platform
from assay.domain.task import TaskId
from assay.rpc.callers import Role
from support.evalruns import evalrun

TASK = TaskId("My_Model", "MMStar")
PLATFORM = Platform(
    namespace="space",
    release="demo",
    version="0.1.0",
    aggregator="demo-assay-aggregator.space.svc:8443",
    scoring="10.0.0.9:8443",
    accounts={role: f"demo-assay-{role}" for role in Role},
    tls_secret="demo-assay-tls",
    server_name="assay",
    images=PodImages(worker="assay/worker:1", scorer="assay/scorer:1"),
)
CONTROLLER = {
    "listen": "0.0.0.0:8443",
    "token_file": "/var/run/assay/token",
    "tls": {"ca_file": "/etc/assay-tls/ca.crt", "server_name": "assay"},
    "callers": {
        "issuer": "https://kubernetes.default.svc",
        "keys_url": "https://kubernetes.default.svc/openid/v1/jwks",
        "platform": "space/demo",
        "accounts": {
            role: f"system:serviceaccount:space:demo-assay-{role}" for role in Role
        },
    },
    "namespace": "space",
    "release": "demo",
    "aggregator": PLATFORM.aggregator,
    "datasets": "demo-assay-dataset.space.svc:8443",
    "tls_secret": "demo-assay-tls",
    "images": {"worker": "assay/worker:1", "scorer": "assay/scorer:1"},
}
"""The controller's config, as the chart is to write it."""


def owner_of(*, name: str = "demo", file: Any = None, **spec: Any) -> Owner:
    """The owner of an EvalRun's Jobs."""
    item = evalrun(file, name=name, **spec)
    return Owner(metadata=item.metadata, request=read(item))


def workers(model: str = "My_Model", generation: int = 1, **spec: Any) -> Any:
    """The Job of a model's workers."""
    owner = owner_of(keysSecret="demo-keys", **spec)
    return worker_job(owner, model, PLATFORM, generation=generation)


def scorer(generation: int = 1, **spec: Any) -> Any:
    """The Job of one scorer."""
    return scorer_job(owner_of(**spec), TASK, PLATFORM, generation=generation)


def pod_of(job: Any) -> Any:
    """The pod that a Job makes, as it would stand by itself."""
    return {"apiVersion": "v1", "kind": "Pod", **job["spec"]["template"]}
