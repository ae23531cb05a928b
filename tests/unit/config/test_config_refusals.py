"""The bad-config table: what a user can get wrong, where the error says it is, why, and the cure."""

# ruff: noqa: E501, FBT003 - one line per row keeps the table a table
from __future__ import annotations

from typing import Any

import pytest

from assay.domain.errors import ConfigError
from support.config_files import REMOVE, changed, resolved

M = "eval_config__model__0__"
C = "eval_config__"
MODEL = "eval_config.model[0]"
SHA = "0" * 64


def one(path: str, value: Any) -> dict[str, Any]:
    """A good file with one thing changed."""
    return changed(**{path: value})


def source(**keys: Any) -> dict[str, Any]:
    """A good file with one dataset source."""
    return changed(dataset_sources={"mine": keys})


def local(**keys: Any) -> dict[str, Any]:
    """A good file with a local model."""
    return one(C + "model", [{"name": "qwen_chat", **keys}])


TABLE: list[tuple[str, dict[str, Any], str, str, str]] = [
    # What is wrong, the file, the path of the error, a word of the reason, a word of the cure.
    ("no_eval_config", {"work_dir": "o"}, "eval_config", "missing", "add it"),
    ("flat_file", {"model": [], "data": []}, "eval_config", "missing", "move model"),
    ("eval_config_is_a_list", {"eval_config": []}, "eval_config", "keys and values", "model:"),
    ("eval_config_is_nothing", {"eval_config": None}, "eval_config", "not nothing", "docs/config.md"),
    ("eval_config_names_no_file", {"eval_config": "/nowhere/e.yaml"}, "/nowhere/e.yaml", "cannot be read", "check the path"),
    ("eval_config_is_prose", {"eval_config": "hello"}, "eval_config", "neither", "path of a file"),
    ("other_backend", one("eval_backend", "OpenCompass"), "eval_backend", "OpenCompass is not a backend", "VLMEvalKit"),
    ("misspelt_backend", one("eval_backend", "VLMEvalkit"), "eval_backend", "not a backend", "did you mean VLMEvalKit"),
    ("misspelt_top_key", one("worc_dir", "o"), "worc_dir", "not a known key", "`work_dir`"),
    ("misspelt_eval_key", one(C + "limt", 3), "eval_config.limt", "not a known key", "`limit`"),
    ("unknown_eval_key", one(C + "zzzzzz", 3), "eval_config.zzzzzz", "not a known key", "remove it"),
    ("misspelt_model_key", one(M + "temprature", 0), f"{MODEL}.temprature", "resembles", "`temperature`"),
    ("dry_run", one("dry_run", True), "dry_run", "starts its requests", "remove"),
    ("no_data", one(C + "data", REMOVE), "eval_config.data", "missing", "add it"),
    ("empty_data", one(C + "data", []), "eval_config.data", "empty", "at least one"),
    ("data_is_text", one(C + "data", "MMStar"), "eval_config.data", "list", "[..]"),
    ("data_holds_a_number", one(C + "data", [7]), "eval_config.data[0]", "must be text", "quotes"),
    ("no_models", one(C + "model", []), "eval_config.model", "empty", "at least one"),
    ("model_is_a_map", one(C + "model", {"name": "x"}), "eval_config.model", "list", "- "),
    ("unknown_local_model", one(C + "model", ["qwen_chatt"]), f"{MODEL}.name", "has no model", "did you mean qwen_chat?"),
    ("client_of_a_service", local(name="GPT4o"), f"{MODEL}.name", "client of a service", "CustomAPIModel"),
    ("weights_that_are_not_there", local(model_path="models/none"), f"{MODEL}.model_path", "no folder", "hf://"),
    ("no_cards", local(gpus=0), f"{MODEL}.gpus", "is 0", "from 1"),
    ("trust_in_words", local(trust_remote_code="yes"), f"{MODEL}.trust_remote_code", "is yes", "true or false"),
    ("misspelt_class", one(M + "name", "CustomApiModel"), f"{MODEL}.name", "CustomAPIModel", "did you mean"),
    ("no_type", one(M + "type", REMOVE), f"{MODEL}.type", "missing", "add it"),
    ("number_as_type", one(M + "type", 7), f"{MODEL}.type", "must be text", "quotes"),
    ("type_without_last_part", one(M + "type", "org/"), f"{MODEL}.type", "folder name", "--served-model-name"),
    ("type_with_backslash", one(M + "type", "a\\b"), f"{MODEL}.type", "folder name", "--served-model-name"),
    ("ernie", one(M + "type", "ernie-4.5-vl"), f"{MODEL}.type", "Baidu", "another name"),
    ("no_api_base", one(M + "api_base", REMOVE), f"{MODEL}.api_base", "missing", "/v1/chat/completions"),
    ("base_only", one(M + "api_base", "http://h:1/v1"), f"{MODEL}.api_base", "is a base", "http://h:1/v1/chat/completions"),
    ("base_with_slash", one(M + "api_base", "http://h:1/v1/"), f"{MODEL}.api_base", "is a base", "http://h:1/v1/chat/completions"),
    ("host_only", one(M + "api_base", "http://h:1"), f"{MODEL}.api_base", "is a base", "http://h:1/v1/chat/completions"),
    ("text_completions", one(M + "api_base", "http://h/v1/completions"), f"{MODEL}.api_base", "another call", "/chat/completions"),
    ("ollamas_own_call", one(M + "api_base", "http://h:11434/api/chat"), f"{MODEL}.api_base", "another call", "/v1/chat/completions"),
    ("no_scheme", one(M + "api_base", "localhost:8000/v1/chat/completions"), f"{MODEL}.api_base", "localhost:8000/v1/chat/completions is not an http", "http://"),
    ("ftp", one(M + "api_base", "ftp://h/v1/chat/completions"), f"{MODEL}.api_base", "ftp://h/v1/chat/completions is not an http", "http://"),
    ("bad_port", one(M + "api_base", "http://h:99999/v1/chat/completions"), f"{MODEL}.api_base", "not an http", "http://"),
    ("password_in_url", one(M + "api_base", "http://u:p@h/v1/chat/completions"), f"{MODEL}.api_base", "password", "key"),
    ("key_of_two_lines", one(M + "key", "abc\ndef"), f"{MODEL}.key", "header", "one line"),
    ("null_key", one(M + "key", None), f"{MODEL}.key", "environment", "OPENAI_API_KEY"),
    ("api_key", one(M + "api_key", "sk-1"), f"{MODEL}.api_key", "logs", "`key`"),
    ("temperature_as_text", one(M + "temperature", "0.5"), f"{MODEL}.temperature", "a number", "without quotes"),
    ("yaml_exponent", one(M + "temperature", "1e-3"), f"{MODEL}.temperature", "a number", "1.0e-3"),
    ("true_as_number", one(M + "max_tokens", True), f"{MODEL}.max_tokens", "not true", "without quotes"),
    ("not_a_number", one(M + "temperature", float("nan")), f"{MODEL}.temperature", "finite", "ordinary"),
    ("negative_temperature", one(M + "temperature", -1), f"{MODEL}.temperature", "out of range", "from 0"),
    ("half_a_token", one(M + "max_tokens", 10.5), f"{MODEL}.max_tokens", "not a whole number", "whole number"),
    ("no_tokens", one(M + "max_tokens", 0), f"{MODEL}.max_tokens", "out of range", "from 1"),
    ("img_size_zero", one(M + "img_size", 0), f"{MODEL}.img_size", "out of range", "-1"),
    ("total_img_size", changed(**{M + "img_size": 100, M + "total_img_size": 50}), f"{MODEL}.total_img_size", "divides", "remove"),
    ("img_detail", one(M + "img_detail", "hi"), f"{MODEL}.img_detail", "none of", "high"),
    ("no_timeout", one(M + "timeout", 0), f"{MODEL}.timeout", "out of range", "above 0"),
    ("no_attempts", one(C + "retry", 0), "eval_config.retry", "out of range", "from 1"),
    ("messages", one(M + "messages", []), f"{MODEL}.messages", "itself", "remove"),
    ("n", one(M + "n", 1), f"{MODEL}.n", "itself", "remove"),
    ("stream", one(M + "stream", True), f"{MODEL}.stream", "whole", "remove"),
    ("nproc_of_a_model", one(M + "nproc", 4), f"{MODEL}.nproc", "key of the run", "eval_config.nproc"),
    ("extra_that_is_no_json", one(M + "seed", object()), f"{MODEL}.seed", "JSON", "write text"),
    ("azure_without_address", changed(**{M + "api_base": REMOVE, M + "use_azure": True}), f"{MODEL}.api_base", "AZURE_OPENAI_ENDPOINT", "set them"),
    ("same_model_twice", one(C + "model", [changed()["eval_config"]["model"][0]] * 2), "eval_config.model[1]", "twice", "remove"),
    ("mode", one(C + "mode", "al"), "eval_config.mode", "none of", "did you mean all"),
    ("eval_of_a_cache_that_is_not_there", changed(**{"use_cache": "x", C + "mode": "eval"}), "use_cache", "no folder", "earlier run"),
    ("limit_zero", one(C + "limit", 0), "eval_config.limit", "out of range", "from 1"),
    ("limit_negative", one(C + "limit", -5), "eval_config.limit", "out of range", "from 1"),
    ("limit_fraction", one(C + "limit", 0.5), "eval_config.limit", "not a whole number", "whole"),
    ("limit_text", one(C + "limit", "20"), "eval_config.limit", "not the text", "without quotes"),
    ("odd_limit_for_mme", changed(**{C + "data": ["MME"], C + "limit": 5}), "eval_config.limit", "two questions", "6"),
    ("nproc_zero", one(C + "nproc", 0), "eval_config.nproc", "out of range", "from 1"),
    ("nproc_text", one(C + "nproc", "1"), "eval_config.nproc", "not the text", "without quotes"),
    ("reuse_as_text", one(C + "reuse", "false"), "eval_config.reuse", "true or false", "without quotes"),
    ("reuse_as_number", one(C + "reuse", 0), "eval_config.reuse", "true or false", "without quotes"),
    ("rerun_against_reuse", changed(**{C + "reuse": True, C + "rerun": True}), "eval_config.rerun", "opposite", "keep reuse"),
    ("cache_without_reuse", one("use_cache", "outputs/x"), "use_cache", "reuse does not", "reuse: true"),
    ("folder_with_a_nul", one("work_dir", "a\0b"), "work_dir", "no text", "plain text"),
    ("cache_of_nobody", changed(**{"use_cache": "~nobody-here/x", C + "reuse": True}), "use_cache", "no folder", "earlier run"),
    ("cache_that_is_not_there", changed(**{"use_cache": "x", C + "reuse": True}), "use_cache", "no folder", "earlier run"),
    ("judge_nowhere", one(C + "judge", "my-judge"), "eval_config.judge", "never guessed", "judge_base_url"),
    ("misspelt_judge", one(C + "judge", "exact-matching"), "eval_config.judge", "is no judge", "write exact_matching"),
    ("lonely_local_llm", changed(**{C + "judge": None, C + "LOCAL_LLM": "q"}), "eval_config.LOCAL_LLM", "without OPENAI_API_BASE", "add"),
    ("lonely_base", changed(**{C + "judge": None, C + "OPENAI_API_BASE": "http://j"}), "eval_config.OPENAI_API_BASE", "without LOCAL_LLM", "add"),
    ("lonely_openai_key", changed(**{C + "judge": None, C + "OPENAI_API_KEY": "sk-123"}), "eval_config.OPENAI_API_KEY", "none is named", "add judge"),
    ("judge_address_without_judge", changed(**{C + "judge": None, C + "judge_base_url": "http://j"}), "eval_config.judge_base_url", "none is named", "add judge"),
    ("fps_beside_nframe", one(C + "fps", 1), "eval_config.fps", "nframe", "nframe: 0"),
    ("config", one(C + "config", "c.json"), "eval_config.config", "through EvalScope", "eval_config.model"),
    ("api_mode", one(C + "api_mode", True), "eval_config.api_mode", "ignores limit", "remove"),
    ("use_verifier", one(C + "use_verifier", True), "eval_config.use_verifier", "local model", "exact_matching"),
    ("use_vllm", one(C + "use_vllm", True), "eval_config.use_vllm", "local model classes", "serve"),
    ("base_url", one(C + "base_url", "http://h/v1"), "eval_config.base_url", "another client", "api_base"),
    ("temperature_of_the_run", one(C + "temperature", 0.5), "eval_config.temperature", "base_url", "model's own"),
    ("key_of_the_run", one(C + "key", "sk-1"), "eval_config.key", "base_url", "model's own"),
    ("unknown_dataset", one(C + "data", ["MMSatr"]), "eval_config.data[0]", "no dataset", "MMStar"),
    ("dataset_in_wrong_case", one(C + "data", ["mmstar"]), "eval_config.data[0]", "no dataset", "MMStar"),
    ("dataset_twice", one(C + "data", ["MME", "MME"]), "eval_config.data[1]", "twice", "remove"),
    ("dataset_as_path", one(C + "data", ["../MME"]), "eval_config.data[0]", "no dataset name", "dataset_sources"),
    ("renamed_dataset_twice", one(C + "data", ["GMAI_mm_bench_VAL", "GMAI-MMBench_VAL"]), "eval_config.data[1]", "twice", "remove"),
    ("limit_for_a_collection", changed(**{C + "data": ["MMMB"], C + "limit": 5}), "eval_config.limit", "MMMB_ar", "MMMB_tr"),
    ("source_for_a_collection", changed(**{C + "data": ["MMMB"], C + "limit": None, "dataset_sources": {"MMMB": {"url": "http://a/b.tsv"}}}), "dataset_sources.MMMB", "no file", "give those"),
    ("dataset_for_a_judge", one(C + "data", ["MMVet"]), "eval_config.judge", "names no judge model, and MMVet is", "mode: infer"),
    ("family_of_later", one(C + "data", ["MVBench"]), "eval_config.data[0]", "MVBench: video", "until then"),
    ("source_without_place", source(md5="0" * 32), "dataset_sources.mine", "exactly one", "keep the one"),
    ("source_with_two_places", source(url="http://a/b", path="c"), "dataset_sources.mine", "exactly one", "keep the one"),
    ("source_with_bad_md5", source(url="http://a/b", md5="xyz"), "dataset_sources.mine.md5", "32 hex", "md5sum"),
    ("source_with_short_sha256", source(url="http://a/b", sha256="ab"), "dataset_sources.mine.sha256", "64 hex", "sha256sum"),
    ("source_with_other_scheme", source(url="ftp://a/x"), "dataset_sources.mine.url", "http", "path"),
    ("source_in_no_bucket", source(s3="s3://bucket"), "dataset_sources.mine.s3", "S3 object", "s3://bucket/"),
    ("source_file_that_is_not_there", source(path="gone.tsv"), "dataset_sources.mine.path", "no file", "existing"),
    ("source_with_unknown_key", source(url="http://a/b", sha25=SHA), "dataset_sources.mine.sha25", "not a known key", "`sha256`"),
    ("mirror_to_nowhere", one("mirrors", {"http://a": "b"}), "mirrors.http://a", "http", "https://mirror"),
    ("coverage_in_percent", one("coverage_threshold", 95), "coverage_threshold", "out of range", "up to 1"),
    ("patience_below_zero", one("endpoint_patience", -1), "endpoint_patience", "out of range", "from 0"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("document", "path", "why", "cure"),
    [pytest.param(*row, id=name) for name, *row in TABLE],
)
def test_what_is_wrong_is_refused_with_its_place_the_reason_and_the_cure(
    document, path, why, cure
):
    with pytest.raises(ConfigError) as caught:
        resolved(document)
    assert caught.value.path == path
    assert why in caught.value.why
    assert cure in caught.value.cure


def test_everything_wrong_is_said_at_once():
    document = changed(
        **{M + "temperature": "x", C + "limt": 3, "coverage_threshold": 7}
    )
    with pytest.raises(ConfigError) as caught:
        resolved(document)
    found = {problem.path for problem in caught.value.problems}
    assert found == {f"{MODEL}.temperature", "eval_config.limt", "coverage_threshold"}
    assert all(path in str(caught.value) for path in found)


def test_everything_not_admitted_is_said_at_once():
    document = changed(
        **{
            C + "data": ["MVBench", "nope"],
            M + "api_base": "http://h/v1",
            "use_cache": "x",
        }
    )
    with pytest.raises(ConfigError) as caught:
        resolved(document)
    assert {problem.path for problem in caught.value.problems} == {
        "use_cache",
        "eval_config.data[0]",
        "eval_config.data[1]",
        f"{MODEL}.api_base",
    }


@pytest.mark.parametrize("key", ["key", "api_key", "token", "Authorization"])
def test_a_secret_never_stands_in_a_message(key):
    secret = "sk-very-secret-\n-value"
    with pytest.raises(ConfigError) as caught:
        resolved(changed(**{M + key: secret}))
    assert "very-secret" not in str(caught.value)
    with pytest.raises(ConfigError) as caught:
        resolved(changed(**{M + key: 1234567890}))
    assert "1234567890" not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        "sk-secret",
        "eyJ0.secret.x",
        "u:secret@h:1/v1",
        "h:1/v1?key=secret",
        "Bearer secret",
        "htp://h/v1#secret",
    ],
)
def test_an_address_that_may_hold_a_key_is_not_quoted(address: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolved(one(M + "api_base", address))
    assert "secret" not in str(caught.value)
