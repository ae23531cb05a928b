"""Models that a run serves itself: EvalRuns and Jobs with an engine beside the workers."""

from __future__ import annotations

from typing import Any

from support.controlled import workers
from support.evalruns import evalrun, file_with

VLLM = {"engine": "vllm", "image": "vllm:1", "model": "org/weights"}
EVERY = {
    "vllm": VLLM,
    "swift": {**VLLM, "engine": "swift", "trustRemoteCode": True},
    "lmdeploy": {**VLLM, "engine": "lmdeploy"},
    "ollama": {**VLLM, "engine": "ollama"},
    "custom": {"engine": "custom", "image": "mine:1", "gpus": 0},
}
"""One of each."""


def served_spec(serving: dict[str, Any], **placement: Any) -> dict[str, Any]:
    """The spec of an EvalRun whose one model names no server."""
    entry = {"name": "CustomAPIModel", "type": "org/My.Model"}
    return {
        "file": file_with(model=[entry]),
        "placement": {"models": {"My_Model": {"serving": serving}}, **placement},
    }


def served_run(serving: dict[str, Any], api_base: str | None = None) -> Any:
    """An EvalRun whose one model is launched beside its workers."""
    spec = served_spec(serving)
    spec["file"]["eval_config"]["model"][0]["api_base"] = api_base
    return evalrun(**spec)


def served_workers(serving: dict[str, Any], **placement: Any) -> Any:
    """The Job of its workers."""
    return workers(**served_spec(serving, **placement))
