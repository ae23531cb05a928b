"""An engine beside a worker: when it starts, what it may do, what it sees, and what names its answers."""

from __future__ import annotations

import pytest

from assay.controller.evalrun import read
from assay.domain.errors import ConfigError
from assay.domain.identity import model_identity
from support.served import EVERY, VLLM, served_run, served_workers
from support.watched import job, seen
from support.watched import pod as watched

LOOPBACK = "http://localhost:8000/v1/chat/completions"


def pod(serving=VLLM, **placement):
    return served_workers(serving, **placement)["spec"]["template"]["spec"]


def engine(serving=VLLM, **placement):
    (only,) = pod(serving, **placement)["initContainers"]
    return only


def model(serving=VLLM, api_base=None):
    (only,) = read(served_run(serving, api_base)).run.models
    return only


def test_an_engine_starts_before_its_worker_and_is_started_anew_when_it_ends() -> None:
    assert engine()["restartPolicy"] == "Always"
    assert [c["name"] for c in pod()["containers"]] == ["worker"]


def test_a_worker_waits_until_its_engine_lists_its_models() -> None:
    probe = engine(VLLM | {"port": 9000, "startupSeconds": 60})["startupProbe"]
    assert probe["httpGet"] == {"path": "/v1/models", "port": 9000}
    assert probe["failureThreshold"] * probe["periodSeconds"] == 60


def test_ollama_is_ready_once_it_has_the_model_for_it_answers_before() -> None:
    probe = engine(EVERY["ollama"])["startupProbe"]
    assert probe["exec"]["command"] == ["ollama", "show", "org/My.Model"]


def test_gpus_are_asked_for_by_the_name_that_the_cluster_gives_them() -> None:
    served = VLLM | {"gpus": 2, "resources": {"limits": {"memory": "9Gi"}}}
    asked = engine(served, gpuResource="example.com/gpu")["resources"]
    assert asked == {"limits": {"memory": "9Gi", "example.com/gpu": "2"}}


def test_an_engine_without_gpus_asks_for_none() -> None:
    assert engine(VLLM | {"gpus": 0})["resources"] == {}


def test_an_engine_writes_to_its_own_folders_alone_and_sees_nothing_of_its_worker() -> (
    None
):
    seen = {m["name"] for m in engine()["volumeMounts"]}
    assert seen == {"engine-cache", "engine-scratch", "engine-memory"}
    (worker,) = pod()["containers"]
    assert not seen & {m["name"] for m in worker["volumeMounts"]}
    assert engine()["securityContext"]["readOnlyRootFilesystem"] is True


def test_weights_are_kept_where_the_user_says() -> None:
    volumes = {
        v["name"]: v for v in pod(VLLM | {"cache": {"claim": "mine"}})["volumes"]
    }
    cache = volumes["engine-cache"]
    assert cache["persistentVolumeClaim"] == {"claimName": "mine"}


def test_no_key_has_to_be_there_for_an_engine_of_ours() -> None:
    assert "key" not in {v["name"] for v in pod()["volumes"]}


@pytest.mark.parametrize("given", [None, LOOPBACK])
def test_the_worker_asks_the_engine_beside_it(given) -> None:
    asked = model(VLLM | {"port": 9000}, given).endpoint.api_base
    assert asked == "http://127.0.0.1:9000/v1/chat/completions"


def test_an_engine_beside_a_server_elsewhere_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"names models\.test, and models\.My_Model"):
        model(api_base="http://models.test/v1/chat/completions")


@pytest.mark.parametrize(
    "other",
    [
        {"image": "vllm:2"},
        {"model": "org/others"},
        {"args": ["--seed", "1"]},
        {"hub": "modelscope"},
        {"trustRemoteCode": True},
    ],
)
def test_what_of_an_engine_can_change_an_answer_names_other_results(other) -> None:
    assert model_identity(model(VLLM | other)) != model_identity(model())


@pytest.mark.parametrize(
    "other",
    [
        {"port": 9000},
        {"startupSeconds": 5},
        {"cache": {"claim": "mine"}},
        {"env": [{"name": "HF_HUB_OFFLINE", "value": "1"}]},
        {"resources": {"limits": {"memory": "9Gi"}}},
    ],
)
def test_what_of_an_engine_cannot_change_an_answer_names_none(other) -> None:
    assert model_identity(model(VLLM | other)) == model_identity(model())


def test_an_engine_that_ends_before_it_serves_says_why() -> None:
    said = "Traceback\nValueError: At most 1 image(s) may be provided\n"
    status = {
        "name": "engine",
        "restartCount": 2,
        "started": False,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": {"exitCode": 1, "message": said}},
    }
    starting = watched(phase="Pending", initContainerStatuses=[status])
    (told,) = seen([job()], [starting]).hindrances
    assert "engine ended before it was ready, and is started anew" in told
    assert "ValueError: At most 1 image(s)" in told
    serving = watched(initContainerStatuses=[status | {"started": True}])
    assert seen([job()], [serving]).hindrances == ()
