"""EvalScope's documented script, its import prefix replaced, against an endpoint and a dataset of digits."""

import csv
import json
import re
import signal
import sys

import pytest

from support.local_runs import DATASET, write_dataset

pytestmark = pytest.mark.e2e

SERVED = "Qwen2.5-VL-3B-Instruct"
FOLDER = "Qwen2_5-VL-3B-Instruct"
STEM = f"{FOLDER}_{DATASET}_acc"

CONFIG = """
from evalscope import TaskConfig
task_cfg_dict = TaskConfig(
    work_dir='outputs',
    eval_backend='VLMEvalKit',
    eval_config={
        'data': ['LittleDigits'],
        'limit': 20,
        'mode': 'all',
        'model': [
            {'api_base': 'API_BASE',
            'key': 'EMPTY',
            'name': 'CustomAPIModel',
            'temperature': 0.0,
            'type': 'Qwen2.5-VL-3B-Instruct',
            'img_size': -1,
            'video_llm': False,
            'max_tokens': 1024,}
            ],
        'reuse': False,
        'nproc': 16,
        'judge': 'exact_matching'}
)
"""
YAML = """
work_dir: outputs
eval_backend: VLMEvalKit
eval_config:
  model:
    - type: Qwen2.5-VL-3B-Instruct
      name: CustomAPIModel
      api_base: API_BASE
      key: EMPTY
      temperature: 0.0
      img_size: -1
      max_tokens: 1024
      video_llm: false
  data:
    - LittleDigits
  mode: all
  limit: 20
  reuse: false
  nproc: 16
  judge: exact_matching
"""
SCRIPT = """
from evalscope.run import run_task
from evalscope.summarizer import Summarizer

def run_eval():
    task_cfg = TASK_CFG

    run_task(task_cfg=task_cfg)

    print('>> Start to get the report with summarizer ...')
    report_list = Summarizer.get_report_from_cfg(task_cfg)
    print(f'\\n>> The report list: {report_list}')

run_eval()
"""
AS_DICT = CONFIG + SCRIPT.replace("TASK_CFG", "task_cfg_dict")
AS_NESTED = CONFIG + SCRIPT.replace("TASK_CFG", "task_cfg_dict.to_dict()")
AS_YAML = SCRIPT.replace("TASK_CFG", "'eval_openai_api.yaml'")


@pytest.fixture
def user(desk, stub):
    """Someone with the dataset in `$LMUData` and EvalScope's script; `program` runs it in their folder."""
    user = desk(count=40)
    lmu_data = user.folder / "LMUData"
    lmu_data.mkdir()
    write_dataset(lmu_data / f"{DATASET}.tsv", 40)
    (user.folder / "eval_openai_api.yaml").write_text(
        YAML.replace("API_BASE", stub.url)
    )
    return user


def run_script(user, stub, text):
    replaced = re.sub(r"\bfrom evalscope\b", "from assay.evalscope", text)
    script = user.folder / "eval_openai_api.py"
    script.write_text(replaced.replace("API_BASE", stub.url))
    return user.program(sys.executable, str(script))


def folders(user):
    return sorted((user.folder / "outputs").iterdir())


@pytest.mark.parametrize("text", [AS_DICT, AS_NESTED, AS_YAML])
def test_the_documented_script_prints_the_figures_of_its_run(user, stub, text):
    done = run_script(user, stub, text)
    assert done.returncode == 0, done.stderr
    (run_dir,) = folders(user)
    with (run_dir / FOLDER / f"{STEM}.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    shown = done.stdout.split(">> The report list: ")[1].strip()
    assert shown == str([{STEM: rows[0]}])
    assert stub.requests == 20


def test_the_newest_of_several_equal_runs_is_reported(user, stub):
    for _ in range(2):
        assert run_script(user, stub, AS_YAML).returncode == 0
    (table,) = (folders(user)[-1] / FOLDER).glob("*_acc.csv")
    table.write_text("split,Overall\nmarked,0.5\nsecond,0.25\n")
    text = (
        "from evalscope.summarizer import Summarizer\n"
        "print(Summarizer.get_report_from_cfg('eval_openai_api.yaml'))"
    )
    shown = run_script(user, stub, text).stdout.strip()
    first = {"split": "marked", "Overall": "0.5"}
    second = {"split": "second", "Overall": "0.25"}
    assert shown == str([{STEM: first}, {f"{STEM}#2": second}])


def test_failures_raise_with_the_report_and_use_cache_with_reuse_mends_them(user, stub):
    stub.status = lambda sample: 400 if sample < 3 else 200
    done = run_script(user, stub, AS_DICT)
    assert done.returncode == 1
    (run_dir,) = folders(user)
    assert "RunError: the run in " in done.stderr
    assert f"its report is {run_dir / 'report.json'}" in done.stderr
    assert ">> The report list" not in done.stdout
    stub.status, before = (lambda _: 200), stub.requests
    text = AS_DICT.replace("'reuse': False", "'reuse': True").replace(
        "work_dir='outputs'", f"work_dir='outputs', use_cache={str(run_dir)!r}"
    )
    done = run_script(user, stub, text)
    assert done.returncode == 0, done.stderr
    assert STEM in done.stdout
    assert stub.requests - before == 3


def test_every_run_of_a_list_is_made_even_where_one_fails(user, stub):
    stub.status = lambda sample: 400 if sample == 7 else 200
    text = CONFIG + (
        "from evalscope import run_task\n"
        "small = task_cfg_dict.to_dict()\n"
        "small['eval_config']['limit'] = 5\n"
        "run_task([task_cfg_dict, small])\n"
    )
    done = run_script(user, stub, text)
    assert done.returncode == 1
    states = [
        json.loads((folder / "report.json").read_text())["run"]["state"]
        for folder in folders(user)
    ]
    assert states == ["BELOW_COVERAGE", "COMPLETE"]


def test_a_run_that_only_infers_has_no_figures_and_no_error(user, stub):
    text = AS_DICT.replace("'mode': 'all'", "'mode': 'infer'")
    done = run_script(user, stub, text)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith(">> The report list: []")
    (run_dir,) = folders(user)
    assert list((run_dir / FOLDER).glob("*.xlsx"))


def test_a_stopped_script_says_how_to_go_on(user, stub):
    stub.delay = 0.5
    replaced = SCRIPT.replace("TASK_CFG", "'eval_openai_api.yaml'")
    script = user.folder / "script.py"
    script.write_text(replaced.replace("from evalscope", "from assay.evalscope"))
    process = user._start(sys.executable, str(script))
    assert stub.first_at.wait(60)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    (run_dir,) = folders(user)
    assert process.returncode != 0
    assert f"KeyboardInterrupt: the run in {run_dir} was stopped" in err
    assert f"use_cache: {run_dir}" in err
