"""EvalScope's Python names, without a run: what is taken, what is refused, what is found again."""

import argparse
import copy
import json

import pytest

from assay.domain import catalog
from assay.domain.errors import ConfigError, NotFoundError
from assay.domain.task import TaskId
from assay.evalscope import TaskConfig
from assay.evalscope.backend.vlm_eval_kit import VLMEvalKitBackendManager
from assay.evalscope.found import how_to_go_on
from assay.evalscope.run import run_task
from assay.evalscope.summarizer import Summarizer
from assay.store import keys
from assay.store.folder import FolderStore

MODEL = {
    "type": "m",
    "name": "CustomAPIModel",
    "api_base": "http://localhost:1/v1/chat/completions",
    "key": "very-secret",
}


def eval_config(**changes):
    return {"model": [MODEL], "data": ["MMStar"], **changes}


def test_a_misspelt_field_is_refused_with_the_one_that_was_meant():
    with pytest.raises(ConfigError, match=r"work_dri.*did you mean `work_dir`"):
        TaskConfig(work_dri="outputs")


def test_fields_have_the_files_defaults_and_can_be_changed():
    task_cfg = TaskConfig(eval_config=eval_config())
    assert (task_cfg.work_dir, task_cfg.use_cache) == ("outputs", None)
    task_cfg.work_dir = "elsewhere"
    task_cfg.eval_config["limit"] = 3
    task_cfg.update({"no_timestamp": True})
    assert task_cfg.to_dict() == {
        "work_dir": "elsewhere",
        "eval_config": eval_config(limit=3),
        "no_timestamp": True,
    }


@pytest.mark.parametrize("make", [TaskConfig.from_yaml, TaskConfig.from_json])
def test_a_task_config_is_read_from_a_file_and_may_be_changed(tmp_path, make):
    asked = {"work_dir": "w", "eval_config": eval_config()}
    file = tmp_path / "eval.json"
    file.write_text(json.dumps(asked))
    task_cfg = make(str(file))
    task_cfg.use_cache = "outputs/1"
    assert task_cfg.to_dict() == {**asked, "use_cache": "outputs/1"}
    file.write_text('{"wrok_dir": "w"}')
    with pytest.raises(ConfigError, match="did you mean `work_dir`"):
        make(file)


def test_an_unknown_field_can_neither_be_set_nor_read():
    task_cfg = TaskConfig()
    with pytest.raises(ConfigError, match="wrok_dir"):
        task_cfg.wrok_dir = "x"
    with pytest.raises(AttributeError, match="wrok_dir"):
        _ = task_cfg.wrok_dir


def test_a_printed_task_config_shows_no_key():
    task_cfg = copy.deepcopy(TaskConfig(eval_config=eval_config()))
    assert "very-secret" not in f"{task_cfg!r} {task_cfg}"


@pytest.mark.parametrize("make", [dict, lambda d: TaskConfig(**d)])
def test_a_refused_value_is_raised_with_its_place_before_anything_starts(
    tmp_path, make
):
    asked = {"work_dir": str(tmp_path / "w"), "eval_config": eval_config(limit=-1)}
    with pytest.raises(ConfigError, match=r"eval_config\.limit"):
        run_task(make(asked))
    assert not (tmp_path / "w").exists()


def test_one_refused_config_of_a_list_keeps_the_others_from_starting(tmp_path):
    good = {"work_dir": str(tmp_path / "w"), "eval_config": eval_config()}
    with pytest.raises(ConfigError, match="daat"):
        run_task([good, {"eval_config": {"daat": []}}])
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize("wrong", [7, argparse.Namespace()])
def test_what_is_no_config_at_all_is_refused_in_words(wrong):
    for call in (run_task, Summarizer.get_report_from_cfg):
        with pytest.raises(ConfigError, match="pass a TaskConfig"):
            call(wrong)


def test_a_report_of_what_was_never_run_is_said_not_to_be_there(tmp_path):
    (tmp_path / "file").write_text("x")
    asked = {"work_dir": str(tmp_path), "eval_config": eval_config()}
    with pytest.raises(NotFoundError, match="no run of this config has ended"):
        Summarizer.get_report_from_cfg(asked)
    file = tmp_path / "eval.json"
    file.write_text(json.dumps(asked))
    with pytest.raises(NotFoundError, match="no run of this config has ended"):
        Summarizer.get_report_from_cfg(str(file))


def test_the_supported_datasets_are_the_names_a_run_may_ask_for():
    listed = VLMEvalKitBackendManager.list_supported_datasets()
    assert "MMStar" in listed
    assert "Video-MME" not in listed
    assert set(listed) <= set(catalog.names())


def test_a_script_whose_run_kept_no_answer_is_told_to_run_it_anew(tmp_path):
    assert "run it anew" in how_to_go_on(tmp_path)
    store = FolderStore(tmp_path, tmp_path)
    store.put(keys.segment("run", TaskId("m", "d"), 1, 0), b"answers")
    assert f"use_cache: {tmp_path}" in how_to_go_on(tmp_path)
