"""Config files as users write them, for tests that change one thing at a time."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assay.config import Resolved, parse, resolve

REMOVE = object()
"""As a value of `changed`: take the key away."""

_GOOD: dict[str, Any] = {
    "work_dir": "outputs",
    "eval_backend": "VLMEvalKit",
    "eval_config": {
        "model": [
            {
                "name": "CustomAPIModel",
                "type": "org/My.Model-7B",
                "api_base": "http://localhost:8000/v1/chat/completions",
            }
        ],
        "data": ["MMStar"],
        "judge": "exact_matching",
    },
}


def changed(**changes: Any) -> dict[str, Any]:
    """A good file with values put at dotted paths (`__` stands for a dot, digits for list places)."""
    document = copy.deepcopy(_GOOD)
    for path, value in changes.items():
        *parents, last = path.split("__")
        target: Any = document
        for part in parents:
            target = target[int(part)] if part.isdigit() else target[part]
        place = int(last) if last.isdigit() else last
        if value is REMOVE:
            del target[place]
        else:
            target[place] = value
    return document


def resolved(
    document: Mapping[str, Any],
    *,
    environ: Mapping[str, str] | None = None,
    lmu_data: tuple[Path, ...] = (),
    base_dir: Path = Path("/nowhere"),
) -> Resolved:
    """The run a nested dict asks for."""
    return resolve(
        parse(document), environ=environ or {}, lmu_data=lmu_data, base_dir=base_dir
    )
