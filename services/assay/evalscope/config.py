"""`evalscope.config`: the `TaskConfig` that scripts fill in, and what else they may pass in its place."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from assay.config.file import EvalFile
from assay.config.problems import joined, nearest, printable
from assay.config.read import load_file, mapping_of, parse
from assay.domain.errors import ConfigError

FIELDS = tuple(EvalFile.model_fields)
"""What a task config may hold: the keys of the file, EvalScope's and ours."""


class TaskConfig:
    """One evaluation, in EvalScope's words: `TaskConfig(work_dir=..., eval_config={...})`.

    Its fields are the keys of the file and may be changed until it is run; running it changes none.
    Names are checked here, values when it is run.
    """

    def __init__(self, **fields: Any) -> None:
        """Takes the fields that are given; the others have the file's defaults.

        Raises:
            ConfigError: a field that is not known.
        """
        unknown = [_unknown(name) for name in fields if name not in FIELDS]
        if unknown:
            raise joined(unknown)
        object.__setattr__(self, "_given", dict(fields))

    @classmethod
    def from_dict(cls, d: Mapping[str, Any]) -> Self:
        """From a nested dict.

        Raises:
            ConfigError: a field that is not known.
        """
        return cls(**{str(key): value for key, value in d.items()})

    @classmethod
    def from_yaml(cls, yaml_file: str | Path) -> Self:
        """From a YAML file.

        Raises:
            ConfigError: it cannot be read, or holds a field that is not known.
        """
        return cls.from_dict(mapping_of(Path(yaml_file)))

    @classmethod
    def from_json(cls, json_file: str | Path) -> Self:
        """From a JSON file; as `from_yaml`."""
        return cls.from_yaml(json_file)

    def to_dict(self) -> dict[str, Any]:
        """The fields that were given, copied; they hold the models' keys."""
        return copy.deepcopy(self._fields())

    def update(self, other: Mapping[str, Any]) -> None:
        """Changes several fields.

        Raises:
            ConfigError: a field that is not known; none is changed then.
        """
        self._fields().update(TaskConfig.from_dict(other)._fields())

    def __getattr__(self, name: str) -> Any:
        if name not in FIELDS:
            msg = f"TaskConfig has no field {name}"
            raise AttributeError(msg)
        default = EvalFile.model_fields[name].get_default(call_default_factory=True)
        required = EvalFile.model_fields[name].is_required()
        return self._fields().get(name, None if required else default)

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in FIELDS:
            raise _unknown(name)
        self._fields()[name] = value

    def __repr__(self) -> str:
        # Values are left out: they hold the models' keys.
        return f"TaskConfig({', '.join(self._fields())})"

    def _fields(self) -> dict[str, Any]:
        fields: dict[str, Any] = self.__dict__["_given"]
        return fields


TaskLike = TaskConfig | Mapping[str, Any] | str | Path
"""One evaluation: a task config, a nested dict, or the path of a YAML or JSON file."""
Tasks = list[Any] | tuple[Any, ...]
"""Several evaluations: each is a `TaskLike`, of any kind."""


def file_of(task_cfg: TaskLike) -> EvalFile:
    """What one evaluation asks for, checked.

    Raises:
        ConfigError: it is refused, in full.
    """
    if isinstance(task_cfg, TaskConfig):
        return parse(task_cfg.to_dict())
    if isinstance(task_cfg, Mapping):
        return parse(task_cfg)
    if isinstance(task_cfg, str | Path):
        return load_file(Path(task_cfg))
    raise ConfigError(
        "task_cfg",
        f"is of type {type(task_cfg).__name__}",
        "pass a TaskConfig, a dict, the path of a YAML or JSON file, or a list of those",
    )


def _unknown(name: str) -> ConfigError:
    guess = nearest(name, FIELDS)
    cure = f"did you mean `{guess}`?" if guess else "remove it"
    return ConfigError(printable(name), "is not a known field of TaskConfig", cure)
