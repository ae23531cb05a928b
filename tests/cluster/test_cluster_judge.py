"""A run that a judge decides which is launched for it, on the GPUs that its model needs as well."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from support import cluster_judge
from support.cluster_digits import IMAGE, evaluation
from support.cluster_installed import disk
from support.cluster_judge import NAME

TABLE = "Digits60"
MODEL = "digits-vague"
GPUS = 2
"""All that the node has."""
PROGRAM = Path(cluster_judge.__file__)


@pytest.fixture(scope="module")
def values(release, digits):
    """The user's file with a judge, and how its pods run."""
    command = ["python", "-c", PROGRAM.read_text()]
    serving = {"engine": "custom", "image": IMAGE, "command": command, "gpus": GPUS}
    judge = {"serving": {**serving, "startupSeconds": 60, "sharedMemory": "64Mi"}}
    limits = {"limits": {"nvidia.com/gpu": GPUS}}
    with disk(release.namespace.name) as store:
        yield {
            **evaluation(digits.base, TABLE, models=(MODEL,), judge=NAME),
            **store,
            "judge": judge,
            "models": {MODEL: {"resources": limits}},
            "gpuPhases": "sequential",
        }


@contextmanager
def judge_here():
    """The same judge on this machine; gives its base."""
    environ = {**os.environ, "ASSAY_PORT": "0"}
    command = [sys.executable, PROGRAM]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, env=environ, text=True
    ) as server:
        try:
            port = server.stdout.readline().removeprefix("serving ").strip()
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.kill()


@pytest.fixture(scope="module")
def evaluated(release, digits, values):
    """The release with its evaluation, complete, and which kinds of its Jobs lived together."""
    together = []

    def look():
        # Of Jobs, not pods: those wait for GPUs anyway.
        jobs = release.get("jobs")["items"]
        living = [job for job in jobs if not job["status"].get("conditions")]
        kinds = {job["metadata"]["labels"].get(_COMPONENT) for job in living}
        together.append(kinds & {"infer", "judge"})
        return release.condition("Complete").get("status") == "True"

    release.install(**values)
    release.until("it is complete", look, 240)
    return release, together


_COMPONENT = "app.kubernetes.io/component"


def test_tables_and_metrics_are_those_of_one_machine_with_the_same_judge(
    evaluated, here
):
    release, _ = evaluated
    found = release.results(release.run_id())
    with judge_here() as base:
        file = evaluation(
            here.base, TABLE, models=(MODEL,), judge=NAME, judge_base_url=base
        )
        expected = here.results_of(file)
    assert any(name.endswith(".judge.parquet") for name in expected)
    assert found == expected


def test_one_set_of_gpus_serves_the_model_and_then_the_judge(evaluated, figure):
    _, together = evaluated
    seen = {frozenset(kinds) for kinds in together}
    assert {frozenset({"infer"}), frozenset({"judge"})} <= seen
    assert frozenset({"infer", "judge"}) not in seen
    figure(f"{GPUS} GPUs were held by the model's pod, then by the judge's, never both")


def test_no_judge_pod_stays_once_nothing_is_left_to_judge(evaluated):
    release, _ = evaluated
    release.until("the judge has gone", lambda: not release.pods("judge"))
    told = release.condition("Judging")
    assert (told["status"], told["reason"]) == ("False", "Ended")
