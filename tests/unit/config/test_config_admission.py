"""What an accepted file becomes: the run, its notes, and the secrets apart."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from assay.config import load_file, resolve
from assay.config.naming import unique_keys
from assay.domain.errors import ConfigError
from assay.domain.identity import spec_digest
from assay.domain.run import Mode
from support.config_files import REMOVE, changed, resolved

M = "eval_config__model__0__"
C = "eval_config__"
DATA = Path(__file__).parents[2] / "data" / "config"
URL = "http://localhost:8000/v1/chat/completions"


def test_evalscopes_documented_file_is_accepted_unmodified():
    file = load_file(DATA / "eval_openai_api.yaml")
    found = resolve(file, environ={}, lmu_data=[], base_dir=Path("/base"))
    model = found.run.models[0]
    assert (model.key, model.served_name) == (
        "Qwen2_5-VL-3B-Instruct",
        "Qwen2.5-VL-3B-Instruct",
    )
    assert (model.nproc, model.decoding.max_tokens, found.run.limit) == (16, 1024, 20)
    assert [d.name for d in found.run.datasets] == ["SEEDBench_IMG", "ChartQA_TEST"]
    assert (found.run.mode, found.run.judge_chosen, found.reuse) == (
        Mode.ALL,
        True,
        False,
    )
    assert found.work_dir == Path("/base/outputs")
    assert found.secrets[model.key].get_secret_value() == "EMPTY"


def test_evalscopes_documented_local_file_is_refused_for_nothing_but_its_weights():
    with pytest.raises(ConfigError) as caught:
        resolve(
            load_file(DATA / "eval_local.yaml"),
            environ={},
            lmu_data=(),
            base_dir=Path("/nowhere"),
        )
    assert caught.value.path == "eval_config.model[0].model_path"
    assert not caught.value.more


def test_defaults_are_those_of_upstream():
    model = resolved(changed()).run.models[0]
    assert (model.nproc, model.endpoint.retry, model.endpoint.timeout) == (4, 6, 300.0)
    assert (model.decoding.temperature, model.decoding.max_tokens) == (0.0, 2048)
    assert (model.decoding.img_detail, model.pictures.img_size) == ("high", -1)


def test_1_and_1_0_are_the_same_run():
    ints = changed(
        **{M + "temperature": 0, M + "top_p": 1, C + "limit": 20, C + "nproc": 8}
    )
    floats = changed(
        **{
            M + "temperature": 0.0,
            M + "top_p": 1.0,
            C + "limit": 20.0,
            C + "nproc": 8.0,
        }
    )
    assert resolved(ints).run == resolved(floats).run
    assert spec_digest(resolved(ints).run) == spec_digest(resolved(floats).run)


def test_unknown_model_keys_go_into_the_body_and_are_said():
    extra = {"top_p": 0.9, "chat_template_kwargs": {"enable_thinking": False}}
    run = resolved(changed(**{M + key: value for key, value in extra.items()})).run
    assert run.models[0].decoding.extra == extra
    assert any("top_p, chat_template_kwargs" in note for note in run.notes)


def test_keys_are_nowhere_in_the_run():
    found = resolved(changed(**{M + "key": "sk-secret-0123456789"}))
    assert "sk-secret" not in repr(found)
    assert "sk-secret" not in repr(asdict(found.run))
    secret = found.secrets["My_Model-7B"].get_secret_value()
    assert secret == "sk-secret-0123456789"


def test_a_null_key_is_taken_from_the_environment():
    found = resolved(changed(**{M + "key": None}), environ={"OPENAI_API_KEY": "sk-env"})
    assert found.secrets["My_Model-7B"].get_secret_value() == "sk-env"


def test_azure_takes_address_and_key_from_the_environment_as_upstream():
    environ = {
        "AZURE_OPENAI_ENDPOINT": "https://x.example/",
        "AZURE_OPENAI_DEPLOYMENT_NAME": "d",
        "OPENAI_API_VERSION": "2024-06-01",
        "AZURE_OPENAI_API_KEY": "azure-key",
    }
    found = resolved(
        changed(**{M + "api_base": REMOVE, M + "use_azure": True}), environ=environ
    )
    assert found.run.models[0].endpoint.api_base == (
        "https://x.example/openai/deployments/d/chat/completions?api-version=2024-06-01"
    )
    assert found.secrets["My_Model-7B"].get_secret_value() == "azure-key"


def test_eval_configs_retry_overrides_the_models_and_its_timeout_does_not():
    run = resolved(
        changed(**{M + "retry": 9, C + "retry": 3, M + "timeout": 7, C + "timeout": 60})
    ).run
    assert (run.models[0].endpoint.retry, run.models[0].endpoint.timeout) == (3, 7.0)
    assert any("retry is overridden" in note for note in run.notes)


def test_nproc_wins_over_api_nproc():
    assert (
        resolved(changed(**{C + "nproc": 2, C + "api_nproc": 9})).run.models[0].nproc
        == 2
    )
    assert resolved(changed(**{C + "api_nproc": 9})).run.models[0].nproc == 9


def test_models_that_would_share_a_folder_get_two():
    entries = [
        {"name": "CustomAPIModel", "type": name, "api_base": URL}
        for name in ("a/Model", "b/Model", "model", "c:1.5")
    ]
    found = resolved(changed(**{C + "model": entries}))
    keys = [model.key for model in found.run.models]
    assert keys == ["Model", "Model-2", "model-3", "c-1_5"]
    assert list(found.secrets) == keys
    assert any("Model-2" in note for note in found.run.notes)


def test_numbered_keys_never_collide_with_keys_the_user_chose():
    assert unique_keys(["A", "A", "A-2"]) == ("A", "A-3", "A-2")
    assert unique_keys(["samples", "LOGS"]) == ("samples-2", "LOGS-2")


def test_no_judge_named_means_exact_matching_and_says_what_upstream_would_do():
    run = resolved(
        changed(**{C + "judge": None, C + "data": ["MMStar", "ChartQA_TEST"]})
    ).run
    assert (run.judge, run.judge_chosen) == ("exact_matching", False)
    assert any("gpt-4o-mini" in n and "(MMStar)" in n for n in run.notes)


def test_exact_matching_wins_over_a_configured_judge_model_as_upstream():
    run = resolved(
        changed(
            **{
                C + "OPENAI_API_BASE": "http://j/v1/chat/completions",
                C + "LOCAL_LLM": "q",
            }
        )
    ).run
    assert run.judge_chosen
    assert any("OPENAI_API_BASE, LOCAL_LLM" in note for note in run.notes)


def test_keys_without_effect_are_said_and_only_if_they_stand_there():
    run = resolved(changed(**{C + "verbose": True, "limit": 3, C + "fps": -1})).run
    assert [n for n in run.notes if "no effect" in n] == [
        "limit has no effect: EvalScope's VLMEvalKit backend reads the one in eval_config only.",
        "eval_config.fps has no effect: no dataset of this run is a video; those come later.",
        "eval_config.verbose has no effect: the log of a run always holds what it would print.",
    ]
    assert resolved(changed()).run.notes == ()


@pytest.mark.parametrize(("rerun", "reuse"), [(True, False), (False, True)])
def test_rerun_is_the_opposite_of_reuse(tmp_path, rerun, reuse):
    document = changed(**{C + "rerun": rerun, "use_cache": str(tmp_path)})
    if not reuse:
        with pytest.raises(ConfigError, match="use_cache"):
            resolved(document)
        return
    found = resolved(document)
    assert (found.use_cache, found.reuse) == (tmp_path, True)


@pytest.mark.parametrize("reuse", [None, False])
def test_scoring_uses_the_answers_in_use_cache_whatever_reuse_says(tmp_path, reuse):
    changes = {"use_cache": str(tmp_path), C + "mode": "eval", C + "reuse": reuse}
    found = resolved(changed(**changes))
    assert found.use_cache == tmp_path
    assert any("asks no model" in note for note in found.run.notes)


def test_reuse_without_use_cache_is_a_new_run_and_says_so():
    found = resolved(changed(**{C + "reuse": True}))
    assert (found.use_cache, found.reuse) == (None, True)
    assert any("use_cache" in note for note in found.run.notes)


def test_a_custom_dataset_is_found_in_its_source_or_in_a_data_folder(tmp_path):
    (tmp_path / "mine.tsv").touch()
    document = changed(
        **{
            C + "data": ["mine", "there"],
            "dataset_sources": {"there": {"path": "mine.tsv", "md5": "A" * 32}},
        }
    )
    first, second = resolved(
        document, lmu_data=(tmp_path,), base_dir=tmp_path
    ).run.datasets
    assert (first.name, first.source) == ("mine", None)
    assert second.source.path == str(tmp_path / "mine.tsv")
    assert second.source.md5 == "a" * 32


def test_a_renamed_dataset_with_a_file_of_ones_own_is_a_custom_one(tmp_path):
    (tmp_path / "GMAI_mm_bench_VAL.tsv").touch()
    document = changed(**{C + "data": ["GMAI_mm_bench_VAL"]})
    run = resolved(document, lmu_data=(tmp_path,)).run
    assert any("GMAI-MMBench_VAL" in note for note in run.notes)


def test_a_source_does_not_make_an_unusable_family_usable():
    document = changed(
        **{
            C + "data": ["MMVet"],
            "dataset_sources": {"MMVet": {"url": "http://a/b.tsv"}},
        }
    )
    with pytest.raises(ConfigError, match="judge"):
        resolved(document)


def test_a_source_that_no_dataset_uses_is_said():
    run = resolved(changed(dataset_sources={"other": {"url": "http://a/b.tsv"}})).run
    assert any("dataset_sources.other is not used" in note for note in run.notes)


@pytest.mark.parametrize("word", [2, "2"])
def test_a_fresh_word_may_be_a_number(word):
    assert resolved(changed(fresh=word)).run.fresh == "2"


def test_a_whole_dumped_default_config_is_accepted():
    """What EvalScope writes out with all of VLMEvalKit's defaults asks for nothing else."""
    defaults = {
        "api_mode": False, "base_url": None, "key": "sk-admin", "max_tokens": 32768,
        "temperature": None, "top_k": None, "use_vllm": False, "use_verifier": False,
        "thinker": False, "video_llm": False, "local_media": False, "config": None,
        "judge_timeout": 600, "monitor_interval": 30, "nframe": 8, "fps": -1, "nproc": None,
        "OPENAI_API_KEY": "EMPTY", "OPENAI_API_BASE": None, "LOCAL_LLM": None, "limit": None,
    }  # fmt: skip
    assert resolved(changed(**{C + key: value for key, value in defaults.items()})).run
