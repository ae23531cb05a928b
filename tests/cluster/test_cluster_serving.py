"""The digits server as the engine of a run, on two faked GPUs, rescaled while it answers."""

import pytest

from support.cluster_digits import IMAGE, PROGRAM, evaluation

TABLE = "Digits240"
KEY = "digits-svm"


def values(digits, replicas, **changes):
    """A file whose model is launched beside its workers; the tables come from the server in the cluster."""
    file = evaluation(digits.base, TABLE, nproc=2)
    (model,) = file["eval_config"]["model"]
    model["api_base"] = "http://localhost:8000/v1/chat/completions"
    serving = {
        "engine": "custom",
        "image": IMAGE,
        "command": ["python", "-c", PROGRAM.read_text()],
        "args": ["--port", "8000", "--pace", "0.25"],
        "env": [{"name": "PYTHONPATH", "value": "/opt/digits"}],
        "sharedMemory": "64Mi",
    }
    placed = {"serving": serving, "replicas": replicas}
    return {**file, "models": {KEY: placed}, **changes}


def seats(release):
    """Phases of the workers' pods."""
    return sorted(pod["status"]["phase"] for pod in release.pods("infer"))


def job(release):
    """The uid of the workers' one Job, and its seats."""
    (found,) = [
        j for j in release.get("jobs")["items"] if "-infer-" in j["metadata"]["name"]
    ]
    spec = found["spec"]
    assert spec["completions"] == spec["parallelism"]
    return found["metadata"]["uid"], spec["completions"]


@pytest.fixture(scope="module")
def served(release, digits):
    """The run, rescaled from 2 to 3 to 1 on its way, and complete; the phases that were seen."""
    seen = []
    release.install(**values(digits, 2))
    for replicas, wanted in (
        (2, ["Running", "Running"]),
        (3, ["Pending", "Running", "Running"]),
        (1, ["Running"]),
    ):
        if replicas != 2:
            release.upgrade(**values(digits, replicas))
        release.until(f"{replicas} seats", lambda w=wanted: seats(release) == w)
        seen.append((job(release), release.status()["progress"]))
    release.wait()
    return release, seen


def test_one_job_is_rescaled_and_a_third_seat_waits_for_a_gpu(served, figure):
    release, seen = served
    figure(
        f"an engine of a run's own, seats and answers: {[(j[1], p) for j, p in seen]}"
    )
    assert [seats for (_, seats), _ in seen] == [2, 3, 1]
    assert len({uid for (uid, _), _ in seen}) == 1
    assert release.status()["progress"] == "240/240"
    assert len(release.status()["executions"]) == 1


def test_its_answers_are_those_of_a_server_elsewhere(served, here):
    release, _ = served
    assert release.results(release.run_id()) == here.results(TABLE)
