"""What every pod of a Job of ours has: who it is, what it mounts, and Pod Security `restricted`.

`jobs.py` fills in what tells a worker from a scorer. No pod gets a token of the API server, and none holds
access to the store.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from pydantic import ValidationError

from assay.config.chart import Scheduling
from assay.config.problems import config_error
from assay.config.serving import Serving
from assay.controller.engines import sidecar, volumes
from assay.controller.placement import PodImages
from assay.domain.errors import ConfigError
from assay.process.configs import ControllerConfig
from assay.rpc.callers import Role

Manifest = dict[str, Any]

CONFIG_VARIABLE = "ASSAY_CONFIG"
TOKEN = PurePosixPath("/var/run/assay/token")
AUTHORITY = PurePosixPath("/etc/assay-tls/ca.crt")
STORE_AUTHORITY = PurePosixPath("/etc/assay-store-ca/ca.crt")
KEY = PurePosixPath("/etc/assay-keys/key")

METRICS_PORT = 9090
"""Where a worker serves `GET /metrics`; the chart's PodMonitor asks for the port by its name."""

TOKEN_SECONDS = 600
"""A projected token lives that long, the shortest there is; the kubelet replaces it in time."""

_METRICS: Manifest = {"name": "metrics", "containerPort": METRICS_PORT}

_MODEST: Manifest = {"requests": {"cpu": "100m", "memory": "256Mi"}}
"""Where nothing is said: a pod that asks for nothing is the first to be evicted."""

_USER = 10001
"""Of our images; nobody on any node."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """What the pods of all runs of a release have in common.

    Attributes:
        version: of the platform, for the label.
        aggregator: host:port of WorkService.
        scoring: host:port of ScoreService, by number: scorers can ask no name server.
        accounts: the name of each role's service account.
        tls_secret: the Secret with `ca.crt`; nothing else of it is mounted.
        server_name: the name in the services' certificate.
        images: where a run names none.
        store_ca_secret: the Secret whose `ca.crt` signed the store's certificate; empty: a public authority.
    """

    namespace: str
    release: str
    version: str
    aggregator: str
    scoring: str
    accounts: Mapping[Role, str]
    tls_secret: str
    server_name: str
    images: PodImages
    store_ca_secret: str = ""


def platform_of(config: ControllerConfig, *, scoring: str, version: str) -> Platform:
    """What the controller's own config says of the pods it makes.

    Args:
        config: of the controller.
        scoring: its aggregator's address by number.
        version: of the platform.

    Raises:
        ConfigError: it says too little.
    """
    if config.callers is None or config.tls is None:
        raise ConfigError(
            "process config",
            "callers and tls are missing, and pods are told both",
            "start the controller by the chart",
        )
    try:
        images = PodImages.model_validate(config.images)
    except ValidationError as error:
        raise config_error(error, PodImages) from None
    return Platform(
        namespace=config.namespace,
        release=config.release,
        version=version,
        aggregator=config.aggregator,
        scoring=scoring,
        accounts={
            Role(role): subject.rpartition(":")[2]
            for role, subject in config.callers.accounts.items()
        },
        tls_secret=config.tls_secret,
        server_name=config.tls.server_name,
        store_ca_secret=config.store_ca_secret,
        images=images,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What tells one pod from another.

    Attributes:
        container: its name, which the Job's rules speak of.
        config: its process's config as JSON, without secrets.
        grace: seconds it has to end after SIGTERM.
        key: a Secret and the name in it that holds the model's key; None: it needs none.
        beside: the engine that is launched beside it, as the pod has it; None: none is.
        weights: what a model that is built in it is given; None: none is.
    """

    role: Role
    container: str
    run_id: str
    image: str
    config: str
    scheduling: Scheduling
    grace: int
    key: tuple[str, str] | None = None
    beside: Beside | None = None
    weights: Weights | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """An engine in a pod.

    Attributes:
        served_name: what requests call the model.
        gpu_resource: what the scheduler calls a GPU.
    """

    serving: Serving
    served_name: str
    gpu_resource: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """What a worker is given that builds its model itself.

    Attributes:
        claim: with the weights; empty: a hub has them.
        path: where it is mounted.
        gpu_resource: what the scheduler calls a GPU.
    """

    claim: str
    path: str
    gpus: int
    gpu_resource: str


def pod_spec(part: Part, platform: Platform, images: PodImages) -> Manifest:
    """The pod of a Job."""
    mounted, mounts = _volumes(part, platform)
    return {
        "restartPolicy": "Never",
        "serviceAccountName": platform.accounts[part.role],
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": part.grace,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        **_scheduling(part.scheduling),
        **(
            {"imagePullSecrets": [{"name": name} for name in images.pull_secrets]}
            if images.pull_secrets
            else {}
        ),
        **_engine(part.beside, images.pull_policy),
        "containers": [_container(part, images.pull_policy, mounts)],
        "volumes": [*mounted, *(volumes(part.beside.serving) if part.beside else ())],
    }


def _engine(beside: Beside | None, pull_policy: str) -> Manifest:
    if beside is None:
        return {}
    container = sidecar(
        beside.serving,
        beside.served_name,
        gpu_resource=beside.gpu_resource,
        pull_policy=pull_policy,
    )
    return {"initContainers": [container]}


def _container(part: Part, pull_policy: str, mounts: list[Manifest]) -> Manifest:
    return {
        "name": part.container,
        "image": part.image,
        "imagePullPolicy": pull_policy,
        # The module is the image's entry point.
        "args": ["--config-env", CONFIG_VARIABLE],
        "env": [{"name": CONFIG_VARIABLE, "value": part.config}],
        # Of a scorer nothing is counted, and nobody may reach it.
        **({} if part.role is Role.SCORER else {"ports": [_METRICS]}),
        "resources": _resources(part),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "privileged": False,
            "capabilities": {"drop": ["ALL"]},
        },
        # The last lines it wrote are why it failed: `pod_ends.py` reads them.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": mounts,
    }


def _resources(part: Part) -> Manifest:
    """As they are given, with the GPUs of a model that is built in the worker."""
    given = part.scheduling.resources
    weights = part.weights
    if weights is None:
        return given or _MODEST
    if not weights.gpus:
        return given
    limits = {**(given.get("limits") or {}), weights.gpu_resource: str(weights.gpus)}
    return {**given, "limits": limits}


def _volumes(part: Part, platform: Platform) -> tuple[list[Manifest], list[Manifest]]:
    """What is mounted, and where."""
    identity = {
        "path": TOKEN.name,
        "audience": f"assay/{part.run_id}/{part.role}",
        "expirationSeconds": TOKEN_SECONDS,
    }
    authority = _secret(platform.tls_secret, AUTHORITY.name, AUTHORITY)
    mounted: list[Manifest] = [
        {
            "name": "identity",
            "projected": {"sources": [{"serviceAccountToken": identity}]},
        },
        {"name": "authority", "secret": authority},
        {"name": "scratch", "emptyDir": {}},
    ]
    mounts: list[Manifest] = [
        {"name": "identity", "mountPath": str(TOKEN.parent), "readOnly": True},
        {"name": "authority", "mountPath": str(AUTHORITY.parent), "readOnly": True},
        {"name": "scratch", "mountPath": "/tmp"},  # noqa: S108 - the pod's own
    ]
    # Scorers read what they need from the aggregator alone.
    if platform.store_ca_secret and part.role is not Role.SCORER:
        signed = _secret(
            platform.store_ca_secret, STORE_AUTHORITY.name, STORE_AUTHORITY
        )
        place = {"mountPath": str(STORE_AUTHORITY.parent), "readOnly": True}
        mounted.append({"name": "store-authority", "secret": signed})
        mounts.append({"name": "store-authority", **place})
    if part.weights is not None and part.weights.claim:
        claim = {"claimName": part.weights.claim, "readOnly": True}
        mounted.append({"name": "weights", "persistentVolumeClaim": claim})
        place = {"mountPath": part.weights.path, "readOnly": True}
        mounts.append({"name": "weights", **place})
    if part.key is not None:
        secret, name = part.key
        mounted.append({"name": "key", "secret": _secret(secret, name, KEY)})
        mounts.append({"name": "key", "mountPath": str(KEY.parent), "readOnly": True})
    return mounted, mounts


def _secret(name: str, key: str, path: PurePosixPath) -> Manifest:
    """One key of a Secret, readable by its group alone; a pod waits until it is there."""
    return {
        "secretName": name,
        "defaultMode": 0o440,
        "items": [{"key": key, "path": path.name}],
    }


def _scheduling(given: Scheduling) -> Manifest:
    """What of it is set, as Kubernetes names it."""
    fields = {
        "nodeSelector": given.node_selector,
        "tolerations": given.tolerations,
        "affinity": given.affinity,
        "topologySpreadConstraints": given.topology_spread_constraints,
        "priorityClassName": given.priority_class_name,
        "runtimeClassName": given.runtime_class_name,
    }
    return {name: value for name, value in fields.items() if value}
