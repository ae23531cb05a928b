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

from assay.config.chart import GpuPhases, LocalPods, ModelPods, Scheduling
from assay.config.naming import model_key, unique_keys
from assay.config.problems import config_error, kept, printable
from assay.config.sections import Section
from assay.config.serving import Serving, address_of_engine, launched
from assay.domain.errors import ConfigError
from assay.domain.judge import JUDGE_QUEUE, all_asked
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
    judge: ModelPods = ModelPods()
    gpu_phases: GpuPhases = GpuPhases.PARALLEL
    scorer: Scheduling = Scheduling()

    def of(self, model: str) -> ModelPods:
        """How the workers of a model, or of the judge, run."""
        if model == JUDGE_QUEUE:
            return self.judge
        return self.models.get(model) or ModelPods()

    def replicas(self, run: Run) -> dict[str, int]:
        """Workers of each model of a run, and of its judge."""
        return {key: self.of(key).replicas for key in all_asked(run)}


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
    for model in run.models:
        _check_local(placement.of(model.key), model)
    if placement.judge != ModelPods() and run.judge_model is None:
        raise ConfigError(
            "judge",
            f"no judge is asked in this run: it is decided by {run.judge}",
            "remove it, or name a judge in eval_config",
        )
    if placement.judge.local != LocalPods():
        raise ConfigError(
            "judge.local",
            "a judge is asked at an address: nothing is built in its worker",
            "remove it, or have an engine launched beside it with judge.serving",
        )


def _check_local(pods: ModelPods, model: Model) -> None:
    """Refuses what does not go with a local model, or only with one.

    Raises:
        ConfigError: names it.
    """
    local = model.local
    if local is None:
        if pods.local != LocalPods():
            raise ConfigError(
                f"models.{model.key}.local",
                f"{model.key} is served: nothing is built in its worker",
                "remove it, or name a class of VLMEvalKit's in eval_config.model",
            )
        return
    if pods.serving is not None:
        raise ConfigError(
            f"models.{model.key}.serving",
            f"{model.key} is built in its worker, so nobody would ask the engine",
            "remove it, or use name: CustomAPIModel",
        )
    inside = local.weights.startswith(f"{pods.local.path.rstrip('/')}/")
    if local.weights.startswith("/") and not (pods.local.claim and inside):
        raise ConfigError(
            f"models.{model.key}.local.claim",
            f"{local.weights} is a folder of the pod, and no claim is mounted there",
            f"name the claim with the weights; it is mounted at {pods.local.path}",
        )
    if pods.local.gpus % local.gpus and pods.local.gpus:
        raise ConfigError(
            f"models.{model.key}.local.gpus",
            f"{pods.local.gpus} GPUs do not go round for replicas of {local.gpus}",
            "name a multiple of the model's own gpus",
        )


def addressed(file: Mapping[str, Any], placement: Placement) -> dict[str, Any]:
    """The file, with its engine's address in every model, and judge, that is launched beside workers.

    Raises:
        ConfigError: such a model or judge names a server elsewhere.
    """
    config = file.get("eval_config")
    if isinstance(config, Mapping) and placement.judge.serving is not None:
        config = _judge_addressed(config, placement.judge.serving)
    entries = config.get("model") if isinstance(config, Mapping) else None
    if not isinstance(config, Mapping) or not isinstance(entries, Sequence):
        return {**file, "eval_config": config} if config is not None else dict(file)
    filled = [
        _addressed(entry, key, place, placement)
        for place, (entry, key) in enumerate(zip(entries, _keys(entries), strict=True))
    ]
    return {**file, "eval_config": {**config, "model": filled}}


def _judge_addressed(config: Mapping[str, Any], serving: Serving) -> dict[str, Any]:
    """The config, with the address of the judge's engine under the key that it uses.

    Raises:
        ConfigError: it names a server elsewhere.
    """
    old = any(config.get(key) for key in ("OPENAI_API_BASE", "LOCAL_LLM"))
    key = "OPENAI_API_BASE" if old else "judge_base_url"
    given, address = config.get(key), address_of_engine(serving)
    if given is not None and not is_loopback(str(given)):
        raise ConfigError(
            f"eval_config.{key}",
            f"names {printable(_host(str(given)) or given)}, and judge.serving launches an engine",
            "remove one of the two",
        )
    if not old:
        address = address.removesuffix("/chat/completions")
    return {**config, key: address}


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
    """The run, each model and the judge with the engine that is launched for it."""
    judge, serving = run.judge_model, placement.judge.serving
    if judge is not None and serving is not None:
        judge = replace(judge, launched=launched(serving))
    return replace(
        run,
        models=tuple(_with_engine(model, placement) for model in run.models),
        judge_model=judge,
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
