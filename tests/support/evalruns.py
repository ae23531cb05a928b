"""EvalRuns as the API server gives them, and the platform that tests of the controller speak of."""

from __future__ import annotations

import copy
from typing import Any

import msgspec

from assay.controller.evalrun import EvalRun

URL = "http://models.test/v1/chat/completions"
FILE: dict[str, Any] = {
    "eval_backend": "VLMEvalKit",
    "eval_config": {
        "data": ["MMStar", "OCRBench"],
        "model": [
            {"name": "CustomAPIModel", "type": "org/My.Model", "api_base": URL},
            {"name": "CustomAPIModel", "type": "other", "api_base": URL},
        ],
    },
}


def file_with(**changes: Any) -> dict[str, Any]:
    """The file, with other keys in `eval_config`."""
    file = copy.deepcopy(FILE)
    file["eval_config"] |= changes
    return file


def evalrun(
    file: dict[str, Any] | None = None,
    *,
    name: str = "demo",
    generation: int = 1,
    status: dict[str, Any] | None = None,
    **spec: Any,
) -> EvalRun:
    """An EvalRun as it comes over the wire."""
    metadata = {
        "name": name,
        "namespace": "space",
        "uid": f"uid-of-{name}",
        "generation": generation,
        "resourceVersion": "7",
    }
    whole = {
        "metadata": metadata,
        "spec": {"file": file or FILE, **spec},
        "status": status or {},
    }
    return msgspec.json.decode(msgspec.json.encode(whole), type=EvalRun)
