"""A run with a local model in a cluster, and the Job of its workers."""

from __future__ import annotations

from typing import Any

from support.controlled import workers
from support.evalruns import file_with

ENTRY = {"name": "qwen_chat", "model_path": "/weights/Qwen-VL-Chat"}
PODS = {"local": {"claim": "weights"}}
IMAGES = {"worker": "worker:1", "torch": "torch:1"}


def local_spec(entry: dict[str, Any] = ENTRY, **pods: Any) -> dict[str, Any]:
    """The spec of its EvalRun."""
    return {
        "file": file_with(model=[entry]),
        "placement": {"images": IMAGES, "models": {"qwen_chat": PODS | pods}},
    }


def local_workers(**changed: Any) -> Any:
    """The Job."""
    return workers("qwen_chat", **local_spec(**changed))
