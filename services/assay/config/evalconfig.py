"""`eval_config`: every key of VLMEvalKit 0.0.20's `Arguments`, and what becomes of each."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

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
)
from assay.config.model import ModelConfig
from assay.config.problems import refused

_NO_VIDEO = NoEffect(why="no dataset of this run is a video; those come later")
_MODEL_KEY = "VLMEvalKit reads it only together with base_url, which is refused"
_INTO_MODEL = "write it into the model's own entry in eval_config.model"


def _as_list(value: object) -> object:
    if isinstance(value, list) and value:
        return value
    if isinstance(value, list) or value is None:
        raise refused("is empty", "list at least one entry")
    if isinstance(value, dict):
        raise refused("must be a list", "put `- ` before the entry")
    raise refused("must be a list", "write it as a list: [..] or one `- ` line each")


class EvalConfig(BaseModel):
    """`eval_config`: what VLMEvalKit is told."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    data: Annotated[
        list[Annotated[str, Text(longest=100)]], BeforeValidator(_as_list), Honoured()
    ] = Field(
        description=(
            "Dataset names, exactly as VLMEvalKit spells them, or names of `dataset_sources`, or "
            "of a TSV in `$LMUData`."
        )
    )
    model: Annotated[list[ModelConfig], BeforeValidator(_as_list), Honoured()] = Field(
        description="The models, one entry each; see below."
    )
    mode: Annotated[str, Choice(of=("all", "infer", "eval")), Honoured()] = Field(
        default="all",
        description=(
            "`all`: ask and score. `infer`: ask only. `eval`: score the answers of an earlier run "
            "(`use_cache`, `--run-dir` or `--resume` name it) and ask nothing. The same run may be "
            "taken further by another mode."
        ),
    )
    limit: Annotated[int | None, Whole(low=1, null=True), Honoured()] = Field(
        default=None,
        description=(
            "The first N samples of every dataset; null: all. Refused where upstream cannot score "
            "a part (MME: odd N)."
        ),
    )
    api_nproc: Annotated[int, Whole(low=1, high=10_000), Honoured()] = Field(
        default=4, description="Requests in flight per model."
    )
    nproc: Annotated[
        int | None, Whole(low=1, high=10_000, null=True), Mapped(to="api_nproc")
    ] = Field(
        default=None, description="The older name of `api_nproc`; wins when both stand."
    )
    retry: Annotated[int, Whole(low=1, high=1000), Honoured()] = Field(
        default=6,
        description="Attempts per sample. Overrides a model's own `retry`, as upstream.",
    )
    timeout: Annotated[
        float | None, Number(low=0, above=True, null=True), Honoured()
    ] = Field(
        default=None,
        description=(
            "Seconds for one request of every model that has no `timeout` of its own. (Upstream "
            "reads it with `base_url` only.)"
        ),
    )
    reuse: Annotated[bool | None, Flag(null=True), Honoured()] = Field(
        default=None,
        description="With `use_cache`: continue that run. Without: nothing is there to be reused.",
    )
    rerun: Annotated[bool | None, Flag(null=True), Mapped(to="reuse")] = Field(
        default=None, description="The older opposite of `reuse`."
    )
    judge: Annotated[str | None, Text(null=True, longest=200), Honoured()] = Field(
        default=None,
        description=(
            "The judge model's name at its server, or one of upstream's short names; "
            "`exact_matching`: rules decide alone. Nothing: the same, where rules can decide; datasets "
            "that only a judge scores are refused."
        ),
    )
    judge_args: Annotated[str | None, Text(null=True), Honoured()] = Field(
        default=None,
        description='More settings of the judge as a JSON object, such as `{"temperature": 0}`.',
    )
    judge_base_url: Annotated[str | None, Text(null=True), Honoured()] = Field(
        default=None,
        description="Its base, such as `http://localhost:8000/v1`; `/chat/completions` is put after it.",
    )
    judge_key: Annotated[SecretStr | None, Text(null=True, secret=True), Honoured()] = (
        Field(
            default=None,
            description="Its key; for api.openai.com else `OPENAI_API_KEY` of the environment.",
        )
    )
    judge_api_nproc: Annotated[
        int | None,
        Whole(low=1, null=True),
        Honoured(),
    ] = Field(
        default=None,
        description="Judge requests in flight; else the model's `api_nproc`.",
    )
    judge_retry: Annotated[
        int | None,
        Whole(low=1, null=True),
        Honoured(),
    ] = Field(
        default=None,
        description="Attempts per judge request; else the model's `retry`.",
    )
    judge_timeout: Annotated[
        float,
        Number(low=0, above=True),
        Honoured(),
    ] = Field(default=600.0, description="Seconds for one judge request.")
    OPENAI_API_KEY: Annotated[
        SecretStr | None,
        Text(null=True, empty=True, secret=True),
        Honoured(),
    ] = Field(
        default=SecretStr("EMPTY"),
        description="The older name of `judge_key`.",
    )
    OPENAI_API_BASE: Annotated[str | None, Text(null=True, empty=True), Honoured()] = (
        Field(
            default=None,
            description=(
                "The judge's whole URL, in older files. Means nothing without `LOCAL_LLM`: one alone is "
                "refused."
            ),
        )
    )
    LOCAL_LLM: Annotated[str | None, Text(null=True, empty=True), Honoured()] = Field(
        default=None,
        description="The judge's served name, in older files. Means nothing without `OPENAI_API_BASE`.",
    )
    fps: Annotated[float, Number(), _NO_VIDEO] = Field(
        default=-1.0,
        description="Video frames per second; above 0 it needs `nframe: 0`.",
    )
    nframe: Annotated[int, Whole(low=0), _NO_VIDEO] = Field(
        default=8, description="Frames per video."
    )
    use_subtitle: Annotated[bool, Flag(), _NO_VIDEO] = Field(
        default=False, description="Subtitles of Video-MME."
    )
    pack: Annotated[bool, Flag(), _NO_VIDEO] = Field(
        default=False, description="All questions of a video in one request."
    )
    work_dir: Annotated[
        str | None,
        Text(null=True),
        NoEffect(why="EvalScope overwrites it with the task's work_dir"),
    ] = Field(default=None, description="The task's `work_dir` counts.")
    verbose: Annotated[
        bool, Flag(), NoEffect(why="the log of a run always holds what it would print")
    ] = Field(default=False, description="Upstream's console output.")
    debug: Annotated[
        bool, Flag(), NoEffect(why="it concerns upstream's api_mode only")
    ] = Field(default=False, description="Upstream's debugging.")
    ignore: Annotated[
        bool, Flag(), NoEffect(why="upstream gave it up: it is what happens anyway")
    ] = Field(default=False, description="Given up upstream.")
    monitor_interval: Annotated[
        float,
        Number(low=0),
        NoEffect(why="it concerns upstream's api_mode only"),
    ] = Field(default=30.0, description="Seconds between upstream's status lines.")
    reuse_aux: Annotated[
        Any,
        NoEffect(
            why="scoring always starts from the predictions, never from leftovers"
        ),
    ] = Field(default="all", description="Which leftovers upstream reuses.")
    keep_failed: Annotated[
        bool,
        Flag(),
        NoEffect(why="failed samples are kept apart and counted, never as predictions"),
    ] = Field(default=False, description="Whether failures stay predictions.")
    config: Annotated[
        Any,
        Refused(
            why="a second config of models and datasets cannot be used through EvalScope",
            cure="write models and datasets into eval_config.model and eval_config.data",
        ),
    ] = Field(default=None, description="VLMEvalKit's own JSON config.")
    api_mode: Annotated[
        Any,
        Refused(
            why="upstream's asynchronous pipeline ignores limit and writes another layout",
            cure="remove it: requests are asynchronous here anyway",
            unless=(None, False),
        ),
    ] = Field(default=False, description="Upstream's asynchronous pipeline.")
    use_verifier: Annotated[
        Any,
        Refused(
            why="upstream's verifier is a local model that decides instead of the rules",
            cure="remove it, and use judge: exact_matching",
            unless=(None, False),
        ),
    ] = Field(default=False, description="A local verifier model.")
    use_vllm: Annotated[
        Any,
        Refused(
            why="it concerns local model classes, and would leak into requests of some names",
            cure="remove it, and serve the model with vLLM",
            unless=(None, False),
        ),
    ] = Field(default=False, description="vLLM inside local model classes.")
    local_media: Annotated[
        Any,
        Refused(
            why="pictures are always sent inside the request, never as local paths",
            cure="remove it",
            unless=(None, False),
        ),
    ] = Field(default=False, description="Send paths instead of pictures.")
    base_url: Annotated[
        Any,
        Refused(
            why="it makes VLMEvalKit use another client, whose requests differ",
            cure="give each model its api_base, the whole chat-completions URL",
        ),
    ] = Field(default=None, description="Upstream's other client.")
    key: Annotated[
        Any, Refused(why=_MODEL_KEY, cure=_INTO_MODEL, unless=(None, "sk-admin"))
    ] = Field(default=None, description="Goes with `base_url`.")
    max_tokens: Annotated[
        Any, Refused(why=_MODEL_KEY, cure=_INTO_MODEL, unless=(None, 2**15))
    ] = Field(default=None, description="Goes with `base_url`.")
    temperature: Annotated[Any, Refused(why=_MODEL_KEY, cure=_INTO_MODEL)] = Field(
        default=None, description="Goes with `base_url`."
    )
    top_k: Annotated[Any, Refused(why=_MODEL_KEY, cure=_INTO_MODEL)] = Field(
        default=None, description="Goes with `base_url`."
    )
    top_p: Annotated[Any, Refused(why=_MODEL_KEY, cure=_INTO_MODEL)] = Field(
        default=None, description="Goes with `base_url`."
    )
    repetition_penalty: Annotated[Any, Refused(why=_MODEL_KEY, cure=_INTO_MODEL)] = (
        Field(default=None, description="Goes with `base_url`.")
    )
    custom_prompt: Annotated[
        Any,
        Refused(why=_MODEL_KEY, cure="remove it: prompts are the dataset's own"),
    ] = Field(default=None, description="Goes with `base_url`.")
    extra_body: Annotated[Any, Refused(why=_MODEL_KEY, cure=_INTO_MODEL)] = Field(
        default=None, description="Goes with `base_url`."
    )
    video_llm: Annotated[
        Any, Refused(why=_MODEL_KEY, cure=_INTO_MODEL, unless=(None, False))
    ] = Field(default=False, description="Goes with `base_url`.")
    thinker: Annotated[
        Any,
        Refused(
            why=_MODEL_KEY,
            cure="set max_tokens and timeout of the model instead",
            unless=(None, False),
        ),
    ] = Field(default=False, description="Goes with `base_url`; given up upstream.")
