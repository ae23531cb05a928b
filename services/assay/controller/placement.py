"""How a run's pods run: what the chart renders into `spec.placement`, or a user writes there.

Nothing here changes a score, so nothing of it is in a digest, but for an engine that is launched: what can
change its answers goes into the run's models (`with_engines`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, ValidationError

from assay.config.chart import ModelPods, Scheduling
from assay.config.naming import model_key, unique_keys
from assay.config.problems import config_error, kept, printable
from assay.config.sections import Section
from assay.config.serving import address_of_engine, launched
from assay.domain.errors import ConfigError
from assay.domain.run import Model, Run

_LOOPBACK = re.compile(r"localhost|127\.[0-9.]+|::1")


class PodImages(Section):
    """Whole names of images; an empty one is the platform's own."""

    worker: str = ""
    torch: str = ""
    judge: str = ""
    scorer: str = ""
    pull_policy: str = Field(
        default="IfNotPresent", pattern="^(Always|IfNotPresent|Never)$"
    )
    pull_secrets: list[str] = Field(default=[], description="Names of Secrets.")

    def over(self, others: PodImages) -> PodImages:
        """These where they say something, the others where they do not."""
        said = {name: getattr(self, name) for name in self.model_fields_set}
        return others.model_copy(
            update={name: value for name, value in said.items() if value}
        )


class PodQueue(Section):
    """Kueue's queue; its labels are all that is set."""

    name: str = ""
    priority_class: str = ""


class Placement(Section):
    """How the pods of one run are made and where they may be."""

    images: PodImages = PodImages()
    gpu_resource: str = Field(
        default="nvidia.com/gpu", description="What the scheduler calls a GPU."
    )
    queue: PodQueue = PodQueue()
    models: dict[str, ModelPods] = Field(default={}, description="By the model's key.")
    judges: dict[str, ModelPods] = Field(default={}, description="By the judge's name.")
    scorer: Scheduling = Scheduling()

    def of(self, model: str) -> ModelPods:
        """How a model's workers run."""
        return self.models.get(model) or ModelPods()

    def replicas(self, run: Run) -> dict[str, int]:
        """Workers of each model of a run."""
        return {model.key: self.of(model.key).replicas for model in run.models}


def read_placement(given: Mapping[str, Any]) -> Placement:
    """A placement as it is written.

    Raises:
        ConfigError: a key or a value that cannot be taken.
    """
    try:
        return Placement.model_validate(given)
    except ValidationError as error:
        raise config_error(error, Placement) from None


def check_placement(placement: Placement, run: Run) -> None:
    """Refuses a placement of what a run does not have.

    Raises:
        ConfigError: names it.
    """
    known = [model.key for model in run.models]
    for key in placement.models:
        if key not in known:
            raise ConfigError(
                f"models.{key}",
                f"is no model of this run, which has {', '.join(known)}",
                "name it so, or remove it",
            )
    for key in placement.judges:
        raise ConfigError(
            f"judges.{key}",
            f"no judge is asked in this run: it is decided by {run.judge}",
            "remove it",
        )


def addressed(file: Mapping[str, Any], placement: Placement) -> dict[str, Any]:
    """The file, with the address of the engine in every model that is launched beside its workers.

    Raises:
        ConfigError: such a model names a server elsewhere.
    """
    config = file.get("eval_config")
    entries = config.get("model") if isinstance(config, Mapping) else None
    if not isinstance(config, Mapping) or not isinstance(entries, Sequence):
        return dict(file)
    filled = [
        _addressed(entry, key, place, placement)
        for place, (entry, key) in enumerate(zip(entries, _keys(entries), strict=True))
    ]
    return {**file, "eval_config": {**config, "model": filled}}


def _keys(entries: Sequence[Any]) -> tuple[str, ...]:
    """The keys of the models; of an entry that is refused later, an empty one."""
    keys = [""] * len(entries)
    for place, entry in enumerate(entries):
        name = entry.get("type") if isinstance(entry, Mapping) else None
        if isinstance(name, str):
            with kept([]):
                keys[place] = model_key(name, "")
    return unique_keys(keys)


def _addressed(entry: Any, key: str, place: int, placement: Placement) -> Any:
    serving = placement.of(key).serving
    if serving is None or not isinstance(entry, Mapping):
        return entry
    given = entry.get("api_base")
    if given is not None and not is_loopback(str(given)):
        raise ConfigError(
            f"eval_config.model[{place}].api_base",
            f"names {printable(_host(str(given)) or given)}, and models.{key}.serving launches an engine",
            "remove one of the two",
        )
    return {**entry, "api_base": address_of_engine(serving)}


def with_engines(run: Run, placement: Placement) -> Run:
    """The run, each model with the engine that is launched for it."""
    return replace(
        run, models=tuple(_with_engine(model, placement) for model in run.models)
    )


def _with_engine(model: Model, placement: Placement) -> Model:
    serving = placement.of(model.key).serving
    if serving is None:
        return model
    return replace(model, launched=launched(serving))


def is_loopback(address: str) -> bool:
    """Whether it is a pod's own address."""
    return _LOOPBACK.fullmatch(_host(address)) is not None


def _host(address: str) -> str:
    """Of an address that may be none; empty: it has no host."""
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""
