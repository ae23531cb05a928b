"""An EvalScope user's file as it is, its model served on his own machine: an engine takes its place."""

import hashlib
import urllib.request
from pathlib import Path

import pytest
import yaml

from support.cluster_digits import IMAGE, PROGRAM, SEED_MODEL

SEED = Path(__file__).parents[1] / "data/config/eval_openai_api.yaml"
KEY = "Qwen2_5-VL-3B-Instruct"
ENGINE = {
    "engine": "custom",
    "image": IMAGE,
    "command": ["python", "-c", PROGRAM.read_text()],
    "args": ["--port", "8000", "--name", SEED_MODEL],
    "env": [{"name": "PYTHONPATH", "value": "/opt/digits"}],
    "sharedMemory": "64Mi",
}


def seed(base, here):
    """The file; its datasets, which no machine without a way out can fetch, come from the tests' server."""
    file = yaml.safe_load(SEED.read_text())
    sources = {}
    for name in file["eval_config"]["data"]:
        with urllib.request.urlopen(f"{here.base}/data/{name}.tsv", timeout=20) as got:
            digest = hashlib.md5(got.read(), usedforsecurity=False).hexdigest()
        sources[name] = {"url": f"{base}/data/{name}.tsv", "md5": digest}
    return file | {"dataset_sources": sources}


def test_without_an_engine_it_is_refused_before_anything_is_made(release, digits, here):
    with pytest.raises(AssertionError) as refusal:
        release.install(**seed(digits.base, here))
    assert "eval_config.model.0.api_base: http://localhost:8000" in str(refusal.value)
    assert f"models.{KEY}.serving" in str(refusal.value)
    assert release.namespace.kubectl("get", "deploy,sts", "-o", "name") == ""


def test_with_an_engine_it_is_evaluated_as_on_one_machine(release, digits, here):
    values = seed(digits.base, here)
    release.install(**values, models={KEY: {"serving": ENGINE}})
    release.wait()
    local = seed(here.base, here)
    local["eval_config"]["model"][0]["api_base"] = f"{here.base}/v1/chat/completions"
    found = release.results(release.run_id())
    assert len(found) == 3
    assert found == here.results_of(local)
    assert release.status()["progress"] == "40/40"
