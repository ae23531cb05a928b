"""`models.<key>.serving`: an engine that is launched beside each worker of a model.

The chart's values and an EvalRun's placement hold it; the controller makes a container of what `launch_of`
says. Presets are the commands that people start these engines with, closed to what a run does not need: they
load no code that comes with weights unless that is allowed, and fetch no picture from anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, model_validator

from assay.config.problems import refused
from assay.config.sections import Handed, Port, Section
from assay.domain.run import Launched

WEIGHTS, SERVED_NAME, PORT = "ASSAY_WEIGHTS", "ASSAY_SERVED_NAME", "ASSAY_PORT"
"""Variables of the engine's container; `$(NAME)` in its command and arguments stands for their values."""

CACHE, SCRATCH = "/cache", "/tmp"  # noqa: S108 - the container's own
"""Where it may write: weights that may outlive it, and everything else."""

_NOWHERE = "none.invalid"
"""A name that no server ever has (RFC 2606)."""

_SECRETIVE = ("--api-key", "--api-keys", "--api_key")
_NAMED_BY_US = {
    **dict.fromkeys(("--model", "--model-path"), "serving.model"),
    **dict.fromkeys(
        ("--served-model-name", "--served_model_name", "--model-name"),
        "the model's `type`",
    ),
    **dict.fromkeys(("--port", "--server-port"), "serving.port"),
    **dict.fromkeys(("--host", "--server-name"), "the preset: all of the pod's"),
    **dict.fromkeys(
        ("--trust-remote-code", "--trust_remote_code"), "serving.trustRemoteCode"
    ),
}
"""Flags of the presets, and what says their value."""


class Engine(StrEnum):
    """What serves the model."""

    VLLM = "vllm"
    SWIFT = "swift"
    LMDEPLOY = "lmdeploy"
    OLLAMA = "ollama"
    CUSTOM = "custom"


class Hub(StrEnum):
    """Where an engine looks for weights that it does not have."""

    HUGGINGFACE = "huggingface"
    MODELSCOPE = "modelscope"


class SecretKey(Section):
    """One key of a Secret."""

    name: Annotated[str, Field(min_length=1)] = Field(description="Of the Secret.")
    key: Annotated[str, Field(min_length=1)] = Field(
        default="token", description="Where it stands in it."
    )


class Cache(Section):
    """Where weights are kept."""

    claim: str = Field(
        default="",
        description="A PersistentVolumeClaim; empty: the pod's own disk, gone with the pod.",
    )
    size: str = Field(
        default="", description="Most of the pod's own disk; empty: no limit."
    )


class Serving(Section):
    """An engine that is launched beside each worker, on the pod's own address."""

    engine: Engine = Field(description="Which one; `custom`: an image of your own.")
    image: Annotated[str, Field(min_length=1)] = Field(
        description="Its whole name. It is part of what names the results, so pin it."
    )
    model: str = Field(
        default="",
        description="The weights to load, as the engine names them: a repository or a path.",
    )
    hub: Hub = Field(
        default=Hub.HUGGINGFACE, description="Where weights are looked for."
    )
    command: list[str] = Field(
        default=[], description="Instead of the preset's; custom: of the image's own."
    )
    args: list[str] = Field(
        default=[], description="After the preset's; custom: all of them."
    )
    env: list[Handed] = Field(
        default=[], description="More variables, as a container has them."
    )
    port: Port = Field(default=8000, description="Where it listens.")
    gpus: int = Field(
        default=1, ge=0, description="Of `gpuResource`, for each worker's engine."
    )
    startup_seconds: int = Field(
        default=1800,
        ge=1,
        description="Until it must answer, downloading included; then it is started anew.",
    )
    trust_remote_code: bool = Field(
        default=False, description="Run code that comes with the weights."
    )
    token: SecretKey | None = Field(
        default=None, description="The hub's token, for weights that are not public."
    )
    cache: Cache = Cache()
    shared_memory: str = Field(
        default="8Gi", description="Most of /dev/shm; counted as its memory."
    )
    resources: Handed = Field(
        default={}, description="As a container has them; GPUs are added."
    )
    volumes: list[Handed] = Field(
        default=[], description="More volumes, as a pod has them."
    )
    volume_mounts: list[Handed] = Field(
        default=[], description="Where the engine sees them."
    )

    @model_validator(mode="after")
    def _fits_its_engine(self) -> Serving:
        if self.engine is Engine.CUSTOM:
            return self
        if not self.model:
            raise refused(
                f"is missing: {self.engine} does not guess what to load",
                "name the weights, such as Qwen/Qwen2.5-VL-3B-Instruct",
                at="model",
            )
        if self.engine is Engine.SWIFT and not self.trust_remote_code:
            raise refused(
                "ms-swift always runs the code that comes with weights",
                "write trustRemoteCode: true for weights that you trust, or take another engine",
                at="trustRemoteCode",
            )
        for place, argument in enumerate(self.args):
            _check_argument(argument, place)
        return self


def _check_argument(argument: str, place: int) -> None:
    """Refuses what is said elsewhere, or would stand where many read it.

    Raises:
        PydanticCustomError: names the place.
    """
    flag = argument.partition("=")[0]
    if flag in _SECRETIVE:
        raise refused(
            "is a secret, and the engine is reached from its own pod alone",
            "remove it",
            at=f"args.{place}",
        )
    if said_by := _NAMED_BY_US.get(flag):
        raise refused(f"{flag} is said by {said_by}", "remove it", at=f"args.{place}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How an engine is started.

    Attributes:
        command, args: of its container; `$(NAME)` stands for a variable of it.
        env: its variables, those of the user last.
        ready: a command that says whether it serves the model; empty: it does once it answers.
        folder: where it starts; empty: where its image says.
    """

    command: tuple[str, ...]
    args: tuple[str, ...]
    env: tuple[dict[str, Any], ...]
    ready: tuple[str, ...] = ()
    folder: str = ""


def launch_of(serving: Serving, served_name: str) -> Launch:
    """How the engine of a model is started.

    Args:
        serving: what is said of it.
        served_name: what requests call the model.
    """
    command, args = _PRESETS[serving.engine](serving)
    custom = serving.engine is Engine.CUSTOM
    ollama = serving.engine is Engine.OLLAMA
    return Launch(
        command=tuple(serving.command or command),
        args=(*args, *serving.args),
        env=_environment(serving, served_name),
        ready=("ollama", "show", served_name) if ollama else (),
        folder="" if custom else SCRATCH,
    )


def launched(serving: Serving) -> Launched:
    """What of an engine can change an answer; what differs from pod to pod stands in it as `$(NAME)`."""
    launch = launch_of(serving, f"$({SERVED_NAME})")
    weights = (
        f"{serving.hub}:{serving.model}"
        if serving.hub is Hub.MODELSCOPE
        else serving.model
    )
    return Launched(
        image=serving.image, weights=weights, command=launch.command, args=launch.args
    )


def address_of_engine(serving: Serving) -> str:
    """What the worker beside it asks."""
    return f"http://127.0.0.1:{serving.port}/v1/chat/completions"


def _vllm(serving: Serving) -> tuple[list[str], list[str]]:
    return ["python3", "-m", "vllm.entrypoints.openai.api_server"], [
        *("--model", f"$({WEIGHTS})", "--served-model-name", f"$({SERVED_NAME})"),
        *("--host", "0.0.0.0", "--port", f"$({PORT})"),  # noqa: S104 - of the pod
        *("--allowed-media-domains", _NOWHERE),
        *(("--trust-remote-code",) if serving.trust_remote_code else ()),
        *_parallel("--tensor-parallel-size", serving.gpus),
    ]


def _swift(serving: Serving) -> tuple[list[str], list[str]]:
    at_huggingface = str(serving.hub is Hub.HUGGINGFACE).lower()
    return ["swift", "deploy"], [
        *("--model", f"$({WEIGHTS})", "--served_model_name", f"$({SERVED_NAME})"),
        *("--host", "0.0.0.0", "--port", f"$({PORT})"),  # noqa: S104 - of the pod
        *("--use_hf", at_huggingface, "--verbose", "false"),
    ]


def _lmdeploy(serving: Serving) -> tuple[list[str], list[str]]:
    return ["lmdeploy", "serve", "api_server"], [
        *(f"$({WEIGHTS})", "--model-name", f"$({SERVED_NAME})"),
        *("--server-name", "0.0.0.0", "--server-port", f"$({PORT})"),  # noqa: S104 - of the pod
        *("--allowed-media-domains", _NOWHERE),
        *(("--trust-remote-code",) if serving.trust_remote_code else ()),
        *_parallel("--tp", serving.gpus),
    ]


# It serves what it has pulled, under the name that requests use.
_OLLAMA = f"""\
ollama serve & server=$!
trap 'kill $server' TERM INT
until ollama list >/dev/null 2>&1; do kill -0 $server || exit 1; sleep 1; done
ready() {{
  ollama show "${WEIGHTS}" >/dev/null 2>&1 || ollama pull "${WEIGHTS}" || return 1
  [ "${WEIGHTS}" = "${SERVED_NAME}" ] || ollama cp "${WEIGHTS}" "${SERVED_NAME}"
}}
ready || {{ kill $server; exit 1; }}
wait $server || wait $server
"""


def _ollama(_: Serving) -> tuple[list[str], list[str]]:
    return ["/bin/sh", "-c", _OLLAMA], []


def _custom(_: Serving) -> tuple[list[str], list[str]]:
    return [], []


_PRESETS = {
    Engine.VLLM: _vllm,
    Engine.SWIFT: _swift,
    Engine.LMDEPLOY: _lmdeploy,
    Engine.OLLAMA: _ollama,
    Engine.CUSTOM: _custom,
}


def _parallel(flag: str, gpus: int) -> tuple[str, ...]:
    return (flag, str(gpus)) if gpus > 1 else ()


def _environment(serving: Serving, served_name: str) -> tuple[dict[str, Any], ...]:
    """Its variables: ours first, since those of the user may speak of them, and win."""
    ours = {
        WEIGHTS: serving.model,
        SERVED_NAME: served_name,
        PORT: str(serving.port),
        # Its user has no name on the node, and torch asks for one; its home must be writable.
        "HOME": SCRATCH,
        "USER": "assay",
        "LOGNAME": "assay",
        "HF_HOME": f"{CACHE}/huggingface",
        "MODELSCOPE_CACHE": f"{CACHE}/modelscope",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "DO_NOT_TRACK": "1",
        **_of_engine(serving),
    }
    said = {str(each.get("name")) for each in serving.env}
    made: list[dict[str, Any]] = [
        {"name": name, "value": value}
        for name, value in ours.items()
        if name not in said
    ]
    if serving.token is not None:
        reference = {"name": serving.token.name, "key": serving.token.key}
        hubs = {Hub.HUGGINGFACE: "HF_TOKEN", Hub.MODELSCOPE: "MODELSCOPE_API_TOKEN"}
        made.append(
            {"name": hubs[serving.hub], "valueFrom": {"secretKeyRef": reference}}
        )
    return (*made, *serving.env)


def _of_engine(serving: Serving) -> dict[str, str]:
    at_modelscope = serving.hub is Hub.MODELSCOPE
    match serving.engine:
        case Engine.VLLM:
            hub = {"VLLM_USE_MODELSCOPE": "True"} if at_modelscope else {}
            return {
                **hub,
                "VLLM_NO_USAGE_STATS": "1",
                "VLLM_MEDIA_URL_ALLOW_REDIRECTS": "0",
            }
        case Engine.LMDEPLOY:
            return {"LMDEPLOY_USE_MODELSCOPE": "True"} if at_modelscope else {}
        case Engine.OLLAMA:
            return {
                "OLLAMA_HOST": f"0.0.0.0:{serving.port}",
                "OLLAMA_MODELS": f"{CACHE}/ollama",
                # A model that is put away between two requests costs a load each time.
                "OLLAMA_KEEP_ALIVE": "-1",
            }
        case _:
            return {}
