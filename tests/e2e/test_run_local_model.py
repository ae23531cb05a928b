"""`assay run` with a local model in processes of its own, kills included; torch has a stand-in."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from assay.config.local_model import digest_of
from support.local_runs import DATASET, kill, processes_of, until, write_dataset
from support.small_models import small_python, weights

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

NAME = "Qwen2-VL-2B-Instruct"
COUNT = 80


class Desk:
    """A folder with a file, a dataset, weights and an interpreter."""

    def __init__(self, folder: Path, **python):
        self.folder = folder
        entry = {"name": NAME, "model_path": str(weights(folder / "weights"))}
        config = {
            "work_dir": str(folder / "outputs"),
            "eval_backend": "VLMEvalKit",
            "eval_config": {
                "model": [entry | {"video_llm": False}],
                "data": [DATASET],
                "judge": "exact_matching",
            },
            "dataset_sources": {
                DATASET: {"path": str(write_dataset(folder / f"{DATASET}.tsv", COUNT))}
            },
        }
        self.file = folder / "eval.yaml"
        self.file.write_text(yaml.safe_dump(config))
        self.environ = os.environ | {
            "ASSAY_CACHE": str(folder / "cache"),
            "ASSAY_LOCAL_PYTHON": small_python(folder, **python),
        }

    def start(self, name: str, **environ: str) -> subprocess.Popen[str]:
        assay = str(Path(sys.executable).with_name("assay"))
        return subprocess.Popen(
            [assay, "run", str(self.file), "--run-dir", str(self.folder / name)],
            env=self.environ | environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, name: str, **environ: str) -> str:
        started = self.start(name, **environ)
        said, _ = started.communicate(timeout=120)
        assert started.returncode == 0, said
        return said

    def results(self, name: str) -> tuple[bytes, bytes]:
        folder = self.folder / name
        samples = folder / "samples" / NAME / f"{DATASET}.parquet"
        return samples.read_bytes(), (folder / "metrics.json").read_bytes()


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


def test_a_local_model_is_evaluated_to_its_end_and_what_was_dropped_is_said(desk):
    said = desk.run("run")
    (task,) = json.loads((desk.folder / "run" / "report.json").read_text())["tasks"]
    assert (task["state"], task["counts"]["scored"]) == ("COMPLETE", COUNT)
    assert "Overall 1.000" in said
    assert "video_llm is dropped" in said


def test_the_report_names_the_weights_by_their_digest(desk):
    desk.run("run")
    report = json.loads((desk.folder / "run" / "report.json").read_text())
    local = report["provenance"]["models"][NAME]["local"]
    assert local["digest"] == digest_of(desk.folder / "weights", "model_path")


def test_a_worker_and_its_model_that_are_killed_change_no_result(desk):
    desk.run("undisturbed")
    started = desk.start("killed", SMALL_MODEL_SECONDS="0.05")
    log = desk.folder / "killed" / "logs" / f"model-{NAME}.log"
    until(lambda: log.exists() and log.read_text().count("noise") > 10, "answers", 60)
    (worker,) = processes_of(desk.folder / "killed", "infer")
    (model,) = _children(worker)
    assert kill(model)
    until(lambda: log.read_text().count("noise") > 20, "more answers", 60)
    assert kill(worker)
    said, _ = started.communicate(timeout=120)
    assert started.returncode == 0, said
    assert desk.results("killed") == desk.results("undisturbed")


def test_an_interpreter_without_torch_is_refused_within_seconds(tmp_path):
    desk = Desk(tmp_path, without="torch")
    begun = time.monotonic()
    started = desk.start("run")
    said, _ = started.communicate(timeout=60)
    assert started.returncode == 2
    assert "it has no torch" in said
    assert "make local" in said
    assert time.monotonic() - begun < 30
    assert not (tmp_path / "run").exists()


def test_a_run_that_is_stopped_while_its_model_loads_ends_at_once(desk):
    weights(desk.folder / "weights", "slow")
    started = desk.start("run")
    log = desk.folder / "run" / "logs" / f"model-{NAME}.log"
    until(lambda: log.exists() and "loading" in log.read_text(), "loading", 60)
    started.terminate()
    said, _ = started.communicate(timeout=30)
    assert started.returncode == 130, said


def _children(pid: int) -> list[int]:
    told = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(each) for each in told.split()]
