"""docs/values.md, written from the chart's own models and its values.yaml.

`python -m assay.config.values_reference charts/assay/values.yaml > docs/values.md`; a test compares the two.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from assay.config.chart import LocalPods, ModelPods, Platform, Scheduling
from assay.config.sections import Section
from assay.config.serving import Serving

_INTRODUCTION = """\
# The chart's values

<!-- Written by `python -m assay.config.values_reference`; edit services/assay/config/chart.py instead. -->

At the top level stand EvalScope's own keys, as [config.md](config.md) has them (`eval_config`, `work_dir`,
`dataset_sources`, …), and beside them the platform's, which are listed here. A key that is in neither list,
or has a value of another kind, stops `helm install` with its path. [kubernetes.md](kubernetes.md) shows how
they are used.

A value that is *handed on* is given to Kubernetes as it is.
"""
_KINDS: Mapping[Any, str] = {
    str: "text",
    int: "a whole number",
    bool: "true or false",
    type(None): "null",
}
_NAMED: tuple[tuple[str, str, type[Section], str], ...] = (
    (
        "Where pods may run",
        "<component>",
        Scheduling,
        "`controller`, `datasetService`, `aggregator`, `scorer` and each of `models` have these.",
    ),
    (
        "Models",
        "models.<key>",
        ModelPods,
        (
            "By the model's key: the last part of its `type`, with `:` as `-` and `.` as `_`; the second of "
            "one name is `<key>-2`."
        ),
    ),
    (
        "Engines beside workers",
        "models.<key>.serving",
        Serving,
        "[serving.md](serving.md) tells how each engine is started.",
    ),
    (
        "Models that are built in their workers",
        "models.<key>.local",
        LocalPods,
        "For a name of VLMEvalKit's classes in `eval_config.model`: [local-models.md](local-models.md).",
    ),
)


def reference(values: Mapping[str, Any]) -> str:
    """The page.

    Args:
        values: those of the chart, for the defaults.
    """
    lines = [_INTRODUCTION, "## Platform", "", *_table("", Platform, values)]
    for title, path, section, text in _NAMED:
        shown = {name for name in Scheduling.model_fields if section is ModelPods}
        lines += [f"\n## {title}", "", text, "", *_table(path, section, None, shown)]
    return "\n".join([*lines, ""])


def _table(
    path: str,
    section: type[Section],
    values: Mapping[str, Any] | None,
    hidden: set[str] | frozenset[str] = frozenset(),
) -> list[str]:
    rows = [
        f"| `{name}` | {kind} | {default} | {text} |"
        for name, kind, default, text in _rows(path, section, values, hidden)
    ]
    return ["| key | kind | default | what it does |", "|---|---|---|---|", *rows]


def _rows(
    path: str,
    section: type[Section],
    values: Mapping[str, Any] | None,
    hidden: set[str] | frozenset[str],
) -> Iterator[tuple[str, str, str, str]]:
    """One for each key below a section, in order."""
    for name, field in section.model_fields.items():
        # Where pods may run has a table of its own; only what a component starts with is told again.
        told = values is not None and name in Scheduling.model_fields
        key = field.alias or name
        if name in hidden or (told and key not in (values or {})):
            continue
        place = f"{path}.{key}" if path else key
        below = _section_of(field.annotation)
        if below is not None and below is not Serving:
            given = None if values is None else dict((values or {}).get(key) or {})
            yield from _rows(place, below, given, hidden)
            continue
        text = (field.description or "").replace("|", "\\|")
        yield place, _kind(field.annotation), _default(field, key, values), text


def _section_of(annotation: Any) -> type[Section] | None:
    """The section that a field holds, and only that."""
    found = [each for each in _parts(annotation) if each is not type(None)]
    if (
        len(found) == 1
        and isinstance(found[0], type)
        and issubclass(found[0], BaseModel)
    ):
        return found[0] if issubclass(found[0], Section) else None
    return None


def _parts(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) in {Union, types.UnionType}:
        return get_args(annotation)
    return (annotation,)


def _kind(annotation: Any) -> str:
    return " or ".join(_one_kind(each) for each in _parts(annotation))


def _one_kind(kind: Any) -> str:
    origin, inside = get_origin(kind), get_args(kind)
    if hasattr(kind, "__metadata__"):
        return _one_kind(inside[0])
    if origin is list:
        handed = get_origin(inside[0]) is dict
        return "a list, handed on" if handed else f"a list: {_one_kind(inside[0])}"
    if origin is dict:
        return {str: "a map of texts", Any: "a map, handed on"}.get(inside[1], "a map")
    if isinstance(kind, type) and issubclass(kind, Enum):
        return ", ".join(f"`{each.value}`" for each in kind)
    return _KINDS.get(kind, "a map")


def _default(field: FieldInfo, key: str, values: Mapping[str, Any] | None) -> str:
    if values is not None and key in values:
        return _shown(values[key])
    if field.is_required():
        return "required"
    return _shown(field.get_default(call_default_factory=True))


def _shown(value: Any) -> str:
    if isinstance(value, BaseModel):
        value = value.model_dump(by_alias=True, exclude_defaults=True)
    if value in ("", [], {}):
        return "empty"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, (dict, list)):
        text = yaml.safe_dump(value, default_flow_style=True, width=1000).strip()
        return f"`{text}`"
    return f"`{value}`"


if __name__ == "__main__":
    sys.stdout.write(reference(yaml.safe_load(Path(sys.argv[1]).read_text("utf-8"))))
