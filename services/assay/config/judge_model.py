"""The judge model that a file asks for: VLMEvalKit's keys as it means them, its traps refused with the cure.

`judging` sees that a run that needs one has one. Upstream ignores half of a pair, asks api.openai.com thirty
times where nothing is configured, and posts to whatever address it is given: here each is an error.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from assay.config.endpoints import OFFICIAL, check_address
from assay.config.evalconfig import EvalConfig
from assay.config.problems import nearest, printable
from assay.domain.errors import ConfigError
from assay.domain.judge import EXACT
from assay.domain.run import Judge

_SILICONFLOW = "https://api.siliconflow.cn/v1/chat/completions"
_SERVED: Mapping[str, str] = {
    "gpt-4-turbo": "gpt-4-1106-preview",
    "gpt-4-0613": "gpt-4-0613",
    "gpt-4-0125": "gpt-4-0125-preview",
    "gpt-4-0409": "gpt-4-turbo-2024-04-09",
    "chatgpt-1106": "gpt-3.5-turbo-1106",
    "chatgpt-0125": "gpt-3.5-turbo-0125",
    "gpt-4o": "gpt-4o-2024-05-13",
    "gpt-4o-0806": "gpt-4o-2024-08-06",
    "gpt-4o-1120": "gpt-4o-2024-11-20",
    "gpt-4o-mini": "gpt-4o-mini-2024-07-18",
    "qwen-7b": "Qwen/Qwen2.5-7B-Instruct",
    "qwen-72b": "Qwen/Qwen2.5-72B-Instruct",
    "deepseek": "deepseek-ai/DeepSeek-V3",
    "llama31-8b": "meta-llama/Llama-3.1-8B-Instruct",
}
"""What upstream asks for under its short names (`build_judge`)."""
_AT_SILICONFLOW = frozenset({"qwen-7b", "qwen-72b", "deepseek"})

_OWN_KEYS: Mapping[str, str] = {
    "model": "judge",
    "api_base": "judge_base_url",
    "key": "judge_key",
    "nproc": "judge_api_nproc",
    "retry": "judge_retry",
    "timeout": "judge_timeout",
    "verbose": "nothing: every request is kept",
    "use_azure": "judge_base_url, the deployment's whole address without /chat/completions",
}
"""What `judge_args` would change behind the other keys' backs, and the key that says it."""


@dataclass(frozen=True, slots=True)
class JudgeModel:
    """A judge and its bearer token (`EMPTY`: it needs none)."""

    judge: Judge
    key: SecretStr


def judge_of(config: EvalConfig, environ: Mapping[str, str]) -> JudgeModel | None:
    """The judge that is asked; None: none is configured, or exact matching is asked for.

    Args:
        config: the file's.
        environ: for OPENAI_API_KEY, which upstream reads there.

    Raises:
        ConfigError: half a judge is configured, two are, or its address is none.
    """
    if config.judge == EXACT:
        return None
    _check_pairs(config)
    name = config.judge or config.LOCAL_LLM
    if name is None:
        return None
    guess = nearest(name, [EXACT], cutoff=0.7)
    if guess:
        raise _refused("judge", f'"{printable(name)}" is no judge', f"write {EXACT}")
    address = _address(config, name)
    return JudgeModel(
        Judge(
            # Upstream's file names break on a path, and only they carry the label.
            label=config.judge.rstrip("/").split("/")[-1] if config.judge else "",
            served_name=config.LOCAL_LLM or _SERVED.get(name, name),
            api_base=address,
            settings=_settings(config),
            slots=config.judge_api_nproc or config.nproc or config.api_nproc,
            attempts=config.judge_retry or config.retry,
            timeout=config.judge_timeout,
        ),
        _key(config, address, environ),
    )


def _check_pairs(config: EvalConfig) -> None:
    base, local = config.OPENAI_API_BASE, config.LOCAL_LLM
    if bool(base) != bool(local):
        given, missing = ("OPENAI_API_BASE", "LOCAL_LLM")[:: 1 if base else -1]
        raise _refused(
            given,
            f"has no effect without {missing}: VLMEvalKit reads both, or neither",
            f"add {missing}, or write judge and judge_base_url instead",
        )
    if base and config.judge_base_url:
        raise _refused(
            "judge_base_url",
            "and OPENAI_API_BASE both say where the judge is",
            "remove one of them",
        )
    if config.judge or local:
        return
    for key in ("judge_base_url", "judge_key", "judge_args", "OPENAI_API_KEY"):
        if _says_something(getattr(config, key)):
            raise _refused(
                key,
                "configures a judge, and none is named",
                "add judge: NAME, the model's name at its server",
            )


def _says_something(value: str | SecretStr | None) -> bool:
    if isinstance(value, SecretStr):
        # The older files of everybody say EMPTY, whether they have a judge or not.
        return value.get_secret_value() not in {"", "EMPTY"}
    return value is not None


def _address(config: EvalConfig, name: str) -> str:
    if config.OPENAI_API_BASE:
        check_address(config.OPENAI_API_BASE, "eval_config.OPENAI_API_BASE")
        return config.OPENAI_API_BASE
    base = config.judge_base_url
    if base is None:
        if name in _AT_SILICONFLOW:
            return _SILICONFLOW
        if name in _SERVED and name != "llama31-8b":
            return OFFICIAL
        raise _refused(
            "judge",
            f'where "{printable(name)}" is served is not said, and never guessed',
            "add judge_base_url, such as http://localhost:8000/v1",
        )
    bare = base.rstrip("/")
    if bare.endswith("/chat/completions"):
        raise _refused(
            "judge_base_url",
            "is a base: VLMEvalKit puts /chat/completions after it",
            f"write {printable(bare.removesuffix('/chat/completions'), 200)}",
        )
    address = f"{bare}/chat/completions"
    check_address(address, "eval_config.judge_base_url")
    return address


def _key(config: EvalConfig, address: str, environ: Mapping[str, str]) -> SecretStr:
    for given in (config.judge_key, config.OPENAI_API_KEY):
        if given is not None and given.get_secret_value() not in {"", "EMPTY"}:
            return given
    if address == OFFICIAL:
        if not environ.get("OPENAI_API_KEY"):
            raise _refused(
                "judge_key",
                "is missing: the judge is asked at api.openai.com",
                "write it, set OPENAI_API_KEY, or add judge_base_url for a judge of your own",
            )
        return SecretStr(environ["OPENAI_API_KEY"])
    if address == _SILICONFLOW:
        raise _refused(
            "judge_key",
            "is missing: the judge is asked at api.siliconflow.cn",
            "write it, or add judge_base_url for a judge of your own",
        )
    return SecretStr("EMPTY")


def _settings(config: EvalConfig) -> dict[str, Any]:
    if config.judge_args is None:
        return {}
    try:
        found = json.loads(config.judge_args)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise _refused(
            "judge_args",
            "is no JSON object",
            """write it like '{"temperature": 0, "top_p": 0.9}'""",
        )
    for key in found:
        if key in _OWN_KEYS:
            raise _refused(
                "judge_args",
                f"{key} is said by another key",
                f"remove it, and use {_OWN_KEYS[key]}",
            )
    return found


def _refused(key: str, why: str, cure: str) -> ConfigError:
    return ConfigError(f"eval_config.{key}", why, cure)
