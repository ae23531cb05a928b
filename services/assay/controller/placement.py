"""How a run's pods run: what the chart renders into `spec.placement`, or a user writes there.

Nothing here changes a score, so nothing of it is in a digest; what an engine serves will be the exception.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from assay.config.chart import ModelPods, Scheduling
from assay.config.problems import config_error
from assay.domain.errors import ConfigError
from assay.domain.run import Run


class _Section(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True
    )


class PodImages(_Section):
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


class PodQueue(_Section):
    """Kueue's queue; its labels are all that is set."""

    name: str = ""
    priority_class: str = ""


class Placement(_Section):
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


def read_placement(given: Mapping[str, Any], run: Run) -> Placement:
    """The placement of a run.

    Raises:
        ConfigError: a key, a value or a name that cannot be taken.
    """
    try:
        placement = Placement.model_validate(given)
    except ValidationError as error:
        raise config_error(error, Placement) from None
    known = [model.key for model in run.models]
    for key, pods in placement.models.items():
        if key not in known:
            raise ConfigError(
                f"models.{key}",
                f"is no model of this run, which has {', '.join(known)}",
                "name it so, or remove it",
            )
        if pods.serving is not None:
            raise ConfigError(
                f"models.{key}.serving",
                "engines are not launched beside workers yet",
                "serve the model and name its address as api_base",
            )
    for key in placement.judges:
        raise ConfigError(
            f"judges.{key}",
            f"no judge is asked in this run: it is decided by {run.judge}",
            "remove it",
        )
    return placement
