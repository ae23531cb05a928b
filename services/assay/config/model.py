"""One entry of `eval_config.model`: VLMEvalKit's CustomAPIModel, every parameter typed.

What is neither its parameter nor refused goes into the request body, as upstream's own class does.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    SecretStr,
    model_validator,
)
from pydantic_core import PydanticCustomError

from assay.config.kinds import (
    Choice,
    Flag,
    Honoured,
    Mapped,
    NoEffect,
    Number,
    Refused,
    Text,
    Whole,
    plain_json,
)
from assay.config.problems import nearest, printable, refused

API_MODEL = "CustomAPIModel"

_SEND_ITSELF = "VLMEvalKit writes this part of the request itself, and a second one makes every request fail"
_BODY_PARAMETERS = frozenset(
    {
        *("top_p", "top_k", "min_p", "min_tokens", "seed", "stop", "logprobs"),
        *("top_logprobs", "logit_bias", "best_of", "ignore_eos", "length_penalty"),
        *("presence_penalty", "frequency_penalty", "repetition_penalty", "user"),
        *("max_completion_tokens", "max_new_tokens", "chat_template_kwargs"),
        *("reasoning_effort", "response_format", "extra_body", "metadata", "use_vllm"),
    }
)
"""Well-known parameters of chat endpoints: never taken for a misspelt key of ours."""
_KEYLIKE = re.compile(
    r"api_?key|secret|password|authorization|^headers$|^(access|auth|bearer)?_?token$"
)
_RUN_KEYS = frozenset({"nproc", "api_nproc", "limit", "judge", "mode", "data", "reuse"})


class ModelConfig(BaseModel):
    """A model behind an OpenAI-compatible chat endpoint, or a local one."""

    model_config = ConfigDict(extra="allow", frozen=True, protected_namespaces=())

    _arguments: dict[str, Any] | None = PrivateAttr(default=None)

    name: Annotated[str, Text(), Honoured()] = Field(
        description=(
            "`CustomAPIModel`, or a name of VLMEvalKit's `supported_VLM`: a model that is built in "
            "the worker, to which the other keys are arguments (docs/local-models.md)."
        )
    )
    type: Annotated[str, Text(longest=500), Honoured()] = Field(
        description=(
            "The name the model is served under: the `model` field of every request. Its last "
            "part names folders."
        )
    )
    api_base: Annotated[str | None, Text(null=True, longest=2000), Honoured()] = Field(
        default=None,
        description=(
            "The whole chat-completions URL, used as it is. `OFFICIAL` means OpenAI's own. "
            "Required, unless `use_azure` takes it from the environment, or a cluster launches an "
            "engine for the model (docs/serving.md)."
        ),
    )
    key: Annotated[
        SecretStr | None, Text(null=True, empty=True, secret=True), Honoured()
    ] = Field(
        default=SecretStr("EMPTY"),
        description=(
            "The bearer token. Null: the environment's `OPENAI_API_KEY`. Kept in memory only, "
            "never written."
        ),
    )
    temperature: Annotated[float, Number(low=0), Honoured()] = Field(
        default=0.0, description="Sampling temperature."
    )
    max_tokens: Annotated[int, Whole(low=1), Honoured()] = Field(
        default=2048, description="Most tokens of an answer."
    )
    img_size: Annotated[int, Whole(low=1, also=(-1,)), Honoured()] = Field(
        default=-1,
        description=(
            "Longest side in pixels; larger pictures are shrunk, keeping their shape. -1: as they "
            "are."
        ),
    )
    total_img_size: Annotated[int, Whole(low=1, also=(-1,)), Honoured()] = Field(
        default=-1,
        description=(
            "Without effect while `img_size` is -1, as upstream; refused beside it, because "
            "upstream then computes with `img_size` instead."
        ),
    )
    max_file_size: Annotated[int, Whole(low=1000), Honoured()] = Field(
        default=1_000_000_000,
        description="Characters of base64 above which a picture is shrunk.",
    )
    img_detail: Annotated[str, Choice(of=("high", "low")), Honoured()] = Field(
        default="high", description="`detail` beside every picture."
    )
    timeout: Annotated[
        float | None, Number(low=0, above=True, null=True), Honoured()
    ] = Field(
        default=None,
        description=(
            "Seconds for one request (1.1 times this is allowed, as upstream). Unset: "
            "`eval_config.timeout`, else 300."
        ),
    )
    retry: Annotated[
        int | None, Whole(low=1, null=True), Mapped(to="eval_config.retry")
    ] = Field(
        default=None,
        description="Overridden by `eval_config.retry`, also by its default of 6, as upstream.",
    )
    wait: Annotated[float, Number(low=0), Honoured()] = Field(
        default=1.0, description="Seconds; the scale of the pause between attempts."
    )
    system_prompt: Annotated[
        str | None, Text(null=True, empty=True, longest=100_000), Honoured()
    ] = Field(default=None, description="Sent first, with the role `system`.")
    use_azure: Annotated[bool, Flag(), Honoured()] = Field(
        default=False,
        description=(
            "Send the key as `api-key`. Without `api_base` the address comes from "
            "`AZURE_OPENAI_ENDPOINT`, `AZURE_OPENAI_DEPLOYMENT_NAME` and `OPENAI_API_VERSION`, "
            "without `key` the key from `AZURE_OPENAI_API_KEY`."
        ),
    )
    revision: Annotated[
        str | None, Text(null=True, words=True, longest=200), Honoured()
    ] = Field(
        default=None,
        description=(
            "Ours. A free word that tells apart weights served under one name; another word, "
            "other results."
        ),
    )
    video_llm: Annotated[
        bool, Flag(), NoEffect(why="it concerns video datasets, which come later")
    ] = Field(default=False, description="How videos are sent.")
    verbose: Annotated[
        bool, Flag(), NoEffect(why="the log of a run always holds what it would print")
    ] = Field(default=False, description="Upstream's console output.")
    model: Annotated[
        Any,
        Refused(why=_SEND_ITSELF, cure="the served name goes into `type`", unless=()),
    ] = Field(default=None, description="The served name is `type`.")
    messages: Annotated[Any, Refused(why=_SEND_ITSELF, cure="remove it", unless=())] = (
        Field(default=None, description="Written per sample.")
    )
    n: Annotated[Any, Refused(why=_SEND_ITSELF, cure="remove it", unless=())] = Field(
        default=None, description="One answer is asked for."
    )
    inputs: Annotated[Any, Refused(why=_SEND_ITSELF, cure="remove it", unless=())] = (
        Field(default=None, description="Written per sample.")
    )
    fail_msg: Annotated[
        Any,
        Refused(
            why="a failed request is never turned into an answer here, so it needs no text",
            cure="remove it",
            unless=(None, "Failed to obtain answer via API."),
        ),
    ] = Field(default=None, description="Upstream's text for failed requests.")

    @model_validator(mode="wrap")
    @classmethod
    def _served_or_local(
        cls, entry: Any, handler: ModelWrapValidatorHandler[ModelConfig]
    ) -> ModelConfig:
        """A local model's keys are its class's arguments, and none of those below."""
        if isinstance(entry, str):
            entry = {"name": entry}
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not name.strip() or name == API_MODEL:
            return handler(entry)
        if nearest(name, [API_MODEL], cutoff=0.8):
            raise refused(
                f"{printable(name)} is not {API_MODEL}",
                f"did you mean {API_MODEL}?",
                at="name",
            )
        model = handler({"name": name, "type": name})
        model._arguments = {  # noqa: SLF001 - its own
            key: plain_json(value) for key, value in entry.items() if key != "name"
        }
        return model

    @property
    def local_arguments(self) -> dict[str, Any] | None:
        """What a local model was given beside its name; None: it is served somewhere."""
        return self._arguments

    @model_validator(mode="after")
    def _name_what_is_sent(self) -> ModelConfig:
        for key, value in (self.model_extra or {}).items():
            _check_parameter(key, value)
        return self

    def body_parameters(self) -> dict[str, object]:
        """What goes into the request body although no key here is called so."""
        return {key: plain_json(v) for key, v in (self.model_extra or {}).items()}


def _check_parameter(key: str, value: object) -> None:
    """Refuses what was meant for another place, before it would silently go into every request.

    Raises:
        PydanticCustomError: a secret, a misspelt key, a key of the run, or no JSON.
    """
    lower = key.lower().replace("-", "_")
    if _KEYLIKE.search(lower):
        raise refused(
            "would go into the request body, and from there into logs and reports",
            "the model's key goes into `key`",
            at=key,
        )
    if lower in _RUN_KEYS:
        raise refused(
            "is a key of the run, not of one model",
            f"write it as eval_config.{lower}",
            at=key,
        )
    if lower == "stream" and value not in (None, False):
        raise refused("answers are read whole, as upstream does", "remove it", at=key)
    guess = nearest(key, ModelConfig.model_fields, cutoff=0.84)
    if guess and lower not in _BODY_PARAMETERS:
        raise refused(
            "is no parameter of CustomAPIModel and resembles one",
            f"did you mean `{guess}`?",
            at=key,
        )
    try:
        plain_json(value)
    except PydanticCustomError as error:
        context = error.context or {}
        raise refused(context["why"], context["cure"], at=key) from None
