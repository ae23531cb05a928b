"""The engine beside a worker: a native sidecar, which is started before the worker and ends after it.

The kubelet starts it anew whenever it ends; the worker then finds its endpoint down and waits, so no sample
pays for that. A pod is done when its worker is, whether or not the engine still runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from assay.config.serving import CACHE, SCRATCH, Serving, launch_of

Manifest = dict[str, Any]

ENGINE = "engine"
"""The container's name."""

_PROBE_SECONDS = 2
_PROBE_PATIENCE = 10
_SHARED_MEMORY = "/dev/shm"  # noqa: S108 - what engines share tensors through


def sidecar(
    serving: Serving, served_name: str, *, gpu_resource: str, pull_policy: str
) -> Manifest:
    """The engine's container, among the pod's init containers.

    Args:
        serving: what is said of it.
        served_name: what requests call the model.
        gpu_resource: what the scheduler calls a GPU.
        pull_policy: of all images of the pod.
    """
    launch = launch_of(serving, served_name)
    said = {
        "command": list(launch.command),
        "args": list(launch.args),
        "workingDir": launch.folder,
    }
    return {
        "name": ENGINE,
        "image": serving.image,
        "imagePullPolicy": pull_policy,
        "restartPolicy": "Always",
        **{name: value for name, value in said.items() if value},
        "env": list(launch.env),
        "ports": [{"name": "engine", "containerPort": serving.port}],
        "startupProbe": _probe(serving, launch.ready),
        "resources": _resources(serving, gpu_resource),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "privileged": False,
            "capabilities": {"drop": ["ALL"]},
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {"name": "engine-cache", "mountPath": CACHE},
            {"name": "engine-scratch", "mountPath": SCRATCH},
            {"name": "engine-memory", "mountPath": _SHARED_MEMORY},
            *serving.volume_mounts,
        ],
    }


def volumes(serving: Serving) -> list[Manifest]:
    """What only the engine mounts: it sees neither the worker's token nor its files."""
    claim, size = serving.cache.claim, serving.cache.size
    own = {"emptyDir": {"sizeLimit": size} if size else {}}
    return [
        {
            "name": "engine-cache",
            **({"persistentVolumeClaim": {"claimName": claim}} if claim else own),
        },
        {"name": "engine-scratch", "emptyDir": {}},
        {
            "name": "engine-memory",
            "emptyDir": {"medium": "Memory", "sizeLimit": serving.shared_memory},
        },
        *serving.volumes,
    ]


def _probe(serving: Serving, command: Sequence[str]) -> Manifest:
    ask: Manifest = {"httpGet": {"path": "/v1/models", "port": serving.port}}
    if command:
        ask = {"exec": {"command": list(command)}}
    return {
        **ask,
        "periodSeconds": _PROBE_SECONDS,
        "timeoutSeconds": _PROBE_PATIENCE,
        "failureThreshold": max(serving.startup_seconds // _PROBE_SECONDS, 1),
    }


def _resources(serving: Serving, gpu_resource: str) -> Manifest:
    if not serving.gpus:
        return serving.resources
    limits = serving.resources.get("limits") or {}
    return {
        **serving.resources,
        "limits": {**limits, gpu_resource: str(serving.gpus)},
    }
