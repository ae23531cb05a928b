"""The judge a file asks for: VLMEvalKit's keys as it means them, and its traps refused with the cure."""

from __future__ import annotations

from typing import Any

import pytest

from assay.config.evalconfig import EvalConfig
from assay.config.judge_model import judge_of
from assay.domain.errors import ConfigError
from assay.domain.judge import default_label
from support.config_files import changed

OWN = {"judge": "my-judge", "judge_base_url": "http://h:1/v1"}
OLD = {"OPENAI_API_BASE": "http://h:1/v1/chat/completions", "LOCAL_LLM": "my-judge"}
URL = "http://h:1/v1/chat/completions"


def asked(environ: dict[str, str] | None = None, **keys: Any):
    config = changed()["eval_config"] | keys
    config.pop("judge") if "judge" not in keys and "judge" in config else None
    return judge_of(EvalConfig.model_validate(config), environ or {})


def test_no_judge_is_none_and_so_is_exact_matching():
    assert asked() is None
    assert asked(**OWN | {"judge": "exact_matching"}) is None


def test_a_base_url_gets_upstreams_ending():
    assert asked(**OWN).judge.api_base == URL
    assert asked(**OWN | {"judge_base_url": "http://h:1/v1/"}).judge.api_base == URL


def test_the_older_keys_are_a_judge_without_a_label():
    found = asked(**OLD).judge
    assert (found.api_base, found.served_name, found.label) == (URL, "my-judge", "")


def test_the_older_name_is_asked_whatever_the_label_says():
    found = asked(**OLD, judge="gpt-4o").judge
    assert (found.label, found.served_name) == ("gpt-4o", "my-judge")


def test_upstreams_short_names_are_asked_where_upstream_asks_them():
    official = asked({"OPENAI_API_KEY": "sk-1"}, judge="gpt-4o-mini")
    assert official.judge.served_name == "gpt-4o-mini-2024-07-18"
    assert official.judge.api_base == "https://api.openai.com/v1/chat/completions"
    assert official.key.get_secret_value() == "sk-1"
    flow = asked(judge="deepseek", judge_key="k").judge
    assert flow.api_base == "https://api.siliconflow.cn/v1/chat/completions"


def test_a_path_as_a_name_labels_files_with_its_last_part():
    found = asked(**OWN | {"judge": "Qwen/Qwen2.5-7B"}).judge
    assert (found.label, found.served_name) == ("Qwen2.5-7B", "Qwen/Qwen2.5-7B")


def test_numbers_fall_back_to_the_models():
    found = asked(**OWN, api_nproc=9, retry=2).judge
    assert (found.slots, found.attempts, found.timeout) == (9, 2, 600.0)
    own = asked(**OWN, judge_api_nproc=3, judge_retry=1, judge_timeout=5.0).judge
    assert (own.slots, own.attempts, own.timeout) == (3, 1, 5.0)


def test_settings_are_what_judge_args_says():
    assert asked(**OWN, judge_args='{"top_p": 0.5}').judge.settings == {"top_p": 0.5}


def test_a_judge_that_needs_no_key_gets_none():
    assert asked(**OWN).key.get_secret_value() == "EMPTY"
    assert asked(**OLD, OPENAI_API_KEY="sk-2").key.get_secret_value() == "sk-2"


def test_files_carry_the_name_upstream_would_have_asked():
    assert default_label("MMStar") == "gpt-4o-mini"
    assert default_label("MMVet") == "gpt-4-turbo"
    assert default_label("MMDU") == "gpt-4o"


TABLE: list[tuple[str, dict[str, Any], str, str, str]] = [
    (
        "base_alone",
        {"OPENAI_API_BASE": URL},
        "OPENAI_API_BASE",
        "without LOCAL_LLM",
        "add LOCAL_LLM",
    ),
    (
        "name_alone",
        {"LOCAL_LLM": "m"},
        "LOCAL_LLM",
        "without OPENAI_API_BASE",
        "add OPENAI_API_BASE",
    ),
    (
        "two_addresses",
        OLD | {"judge_base_url": "http://x/v1"},
        "judge_base_url",
        "both say",
        "remove one",
    ),
    (
        "address_alone",
        {"judge_base_url": "http://h/v1"},
        "judge_base_url",
        "none is named",
        "add judge",
    ),
    ("key_alone", {"judge_key": "k"}, "judge_key", "none is named", "add judge"),
    (
        "no_address",
        {"judge": "my-judge"},
        "judge",
        "never guessed",
        "add judge_base_url",
    ),
    (
        "local_class",
        {"judge": "llama31-8b"},
        "judge",
        "never guessed",
        "add judge_base_url",
    ),
    (
        "misspelt_exact",
        OWN | {"judge": "exact-matching"},
        "judge",
        "is no judge",
        "write exact_matching",
    ),
    (
        "whole_as_base",
        OWN | {"judge_base_url": URL},
        "judge_base_url",
        "puts /chat/completions",
        "http://h:1/v1",
    ),
    (
        "base_as_whole",
        OLD | {"OPENAI_API_BASE": "http://h:1/v1"},
        "OPENAI_API_BASE",
        "is a base",
        URL,
    ),
    (
        "no_url",
        OWN | {"judge_base_url": "h:1"},
        "judge_base_url",
        "not an http(s) URL",
        "write the whole",
    ),
    (
        "official_without_key",
        {"judge": "gpt-4o-mini"},
        "judge_key",
        "api.openai.com",
        "OPENAI_API_KEY",
    ),
    (
        "flow_without_key",
        {"judge": "deepseek"},
        "judge_key",
        "siliconflow",
        "judge_base_url",
    ),
    (
        "args_no_json",
        OWN | {"judge_args": "top_p=1"},
        "judge_args",
        "no JSON object",
        "write it like",
    ),
    (
        "args_say_model",
        OWN | {"judge_args": '{"model": "x"}'},
        "judge_args",
        "another key",
        "use judge",
    ),
]


@pytest.mark.parametrize(
    ("name", "keys", "at", "why", "cure"),
    TABLE,
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_half_a_judge_is_refused_with_the_cure(name, keys, at, why, cure):
    with pytest.raises(ConfigError) as caught:
        asked(**keys)
    assert caught.value.path == f"eval_config.{at}"
    assert why in caught.value.why
    assert cure in str(caught.value.cure)
