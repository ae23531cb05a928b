"""Jobs keep seats, not shares: what is refilled, what ends them, and what their pods may do."""

from __future__ import annotations

import msgspec
import pytest

from assay.config import parse
from assay.controller.jobs import (
    DRAIN_SECONDS,
    RUN_LABEL,
    SEAT_LABEL,
    TEMPLATE_NOTE,
    expiring,
    rescaled,
    suspended,
)
from assay.controller.placement import PodImages
from assay.controller.pods import platform_of
from assay.domain.errors import ConfigError
from assay.domain.run import Model
from assay.process.configs import ControllerConfig, InferConfig, ScorerConfig
from support.controlled import CONTROLLER, PLATFORM, owner_of, pod_of, scorer, workers
from support.evalruns import FILE, file_with

BOTH = pytest.mark.parametrize("job", [workers(), scorer()], ids=["worker", "scorer"])


def container(job):
    (only,) = job["spec"]["template"]["spec"]["containers"]
    return only


def config_text(job) -> str:
    (variable,) = container(job)["env"]
    assert container(job)["args"] == ["--config-env", variable["name"]]
    return variable["value"]


def volume(job, name):
    (found,) = [
        v for v in job["spec"]["template"]["spec"]["volumes"] if v["name"] == name
    ]
    return found


def placed(**pods):
    return {"models": {"My_Model": pods}}


def test_a_models_workers_are_an_elastic_indexed_job_of_its_replicas() -> None:
    spec = workers(placement=placed(replicas=3))["spec"]
    assert spec["completionMode"] == "Indexed"
    assert (spec["completions"], spec["parallelism"]) == (3, 3)
    assert rescaled(2) == {"spec": {"completions": 2, "parallelism": 2}}


def test_a_worker_is_told_its_whole_model_and_where_its_secrets_lie() -> None:
    config = InferConfig.model_validate_json(config_text(workers()))
    wanted = owner_of().request.run.models[0]
    assert msgspec.convert(config.model, Model) == wanted
    assert config.listen == ""
    assert str(config.token_file) == "/var/run/assay/token"
    assert str(config.api_key_file) == "/etc/assay-keys/key"


def test_a_parameter_that_is_null_reaches_the_request_body_as_null() -> None:
    entry = FILE["eval_config"]["model"][0] | {"seed": None, "top_k": 1}
    file = file_with(model=[entry])
    sent = parse(file).eval_config.model[0].body_parameters()
    config = InferConfig.model_validate_json(config_text(workers(file=file)))
    assert config.model["decoding"]["extra"] == sent


def test_a_worker_finds_the_key_of_its_own_place_in_the_file_and_no_other() -> None:
    mounted = volume(workers("other"), "key")["secret"]
    assert mounted["secretName"] == "demo-keys"
    assert mounted["items"] == [{"key": "model.1", "path": "key"}]


def test_a_scorer_is_told_its_task_and_calls_by_number() -> None:
    config = ScorerConfig.model_validate_json(config_text(scorer()))
    assert (config.model, config.dataset) == ("My_Model", "MMStar")
    assert config.aggregator == "10.0.0.9:8443"
    assert config.tls is not None
    assert config.tls.server_name == "assay"


def test_a_scorer_holds_no_key_of_a_model() -> None:
    volumes = scorer(keysSecret="demo-keys")["spec"]["template"]["spec"]["volumes"]
    assert {v["name"] for v in volumes} == {"identity", "authority", "scratch"}


@pytest.mark.parametrize(("job", "role"), [(workers(), "infer"), (scorer(), "scorer")])
def test_a_pods_only_token_speaks_for_its_role_in_its_run(job, role) -> None:
    (source,) = volume(job, "identity")["projected"]["sources"]
    token = source["serviceAccountToken"]
    run = owner_of().request.run_id
    assert token["audience"] == f"assay/{run}/{role}"
    assert token["expirationSeconds"] == 600
    pod = job["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["serviceAccountName"] == f"demo-assay-{role}"


@BOTH
def test_a_pod_sees_the_services_authority_and_never_their_private_key(job) -> None:
    mounted = volume(job, "authority")["secret"]["items"]
    assert [item["key"] for item in mounted] == ["ca.crt"]


@BOTH
def test_a_pod_that_must_go_or_is_disrupted_is_no_failure(job) -> None:
    disrupted, asked = job["spec"]["podFailurePolicy"]["rules"][:2]
    assert disrupted["action"] == asked["action"] == "Ignore"
    assert disrupted["onPodConditions"][0]["type"] == "DisruptionTarget"
    assert asked["onExitCodes"]["values"] == [75]


@BOTH
def test_what_no_other_pod_could_do_better_fails_the_job_at_once(job) -> None:
    last = job["spec"]["podFailurePolicy"]["rules"][-1]
    assert last["action"] == "FailJob"
    assert last["onExitCodes"]["values"] == [2, 4]
    assert last["onExitCodes"]["containerName"] == container(job)["name"]


def test_a_worker_has_longer_to_end_than_its_requests_have_to_land() -> None:
    pod = workers()["spec"]["template"]["spec"]
    config = InferConfig.model_validate_json(config_text(workers()))
    assert config.drain_seconds == DRAIN_SECONDS
    assert pod["terminationGracePeriodSeconds"] >= DRAIN_SECONDS + 10


@BOTH
def test_a_job_belongs_to_its_evalrun_and_carries_the_recommended_labels(job) -> None:
    (owner,) = job["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["controller"]) == (
        "EvalRun",
        "demo",
        True,
    )
    six = {"name", "instance", "version", "component", "part-of", "managed-by"}
    for place in (job["metadata"], pod_of(job)["metadata"]):
        labels = place["labels"]
        assert six <= {key.rpartition("/")[2] for key in labels}
        assert labels[RUN_LABEL] == owner_of().request.run_id


def test_a_generation_is_another_name_of_the_same_seat() -> None:
    first, second = workers(), workers(generation=2)
    assert first["metadata"]["name"] != second["metadata"]["name"]
    seats = [job["metadata"]["labels"][SEAT_LABEL] for job in (first, second)]
    assert seats[0] == seats[1] != scorer()["metadata"]["labels"][SEAT_LABEL]


def test_the_longest_names_still_fit_a_pod_of_a_thousand_seats() -> None:
    job = scorer(generation=999, name="x" * 253)
    assert len(job["metadata"]["name"] + "-9999") <= 63


def test_only_what_a_pod_is_made_of_makes_another_template() -> None:
    def told(**pods):
        return workers(placement=placed(**pods))["metadata"]["annotations"][
            TEMPLATE_NOTE
        ]

    assert told() == told(replicas=4)
    assert told() != told(nodeSelector={"zone": "b"})


def test_scheduling_is_handed_on_and_what_is_unset_is_left_out() -> None:
    pods = placed(nodeSelector={"gpu": "a"}, priorityClassName="low")
    pod = workers(placement=pods)["spec"]["template"]["spec"]
    assert pod["nodeSelector"] == {"gpu": "a"}
    assert pod["priorityClassName"] == "low"
    assert "affinity" not in pod


def test_a_queue_is_named_on_the_job_and_only_where_there_is_one() -> None:
    placement = {"queue": {"name": "gpus", "priorityClass": "low"}}
    labels = workers(placement=placement)["metadata"]["labels"]
    assert labels["kueue.x-k8s.io/queue-name"] == "gpus"
    assert not any("kueue" in key for key in workers()["metadata"]["labels"])


def test_a_runs_own_image_goes_before_the_platforms() -> None:
    placement = {"images": {"worker": "mine:2", "pullSecrets": ["pull"]}}
    job = workers(placement=placement)
    assert container(job)["image"] == "mine:2"
    assert job["spec"]["template"]["spec"]["imagePullSecrets"] == [{"name": "pull"}]
    assert container(scorer())["image"] == "assay/scorer:1"


def test_a_runs_own_way_to_pull_goes_before_the_platforms() -> None:
    theirs = PodImages(worker="w:1", pull_policy="Never", pull_secrets=["all"])
    said = PodImages(worker="", pull_secrets=["mine"]).over(theirs)
    assert (said.worker, said.pull_policy, said.pull_secrets) == (
        "w:1",
        "Never",
        ["mine"],
    )


def test_the_controllers_config_says_what_all_pods_have_in_common() -> None:
    config = ControllerConfig.model_validate(CONTROLLER)
    assert platform_of(config, scoring="10.0.0.9:8443", version="0.1.0") == PLATFORM


def test_a_controller_without_callers_is_told_to_be_started_by_the_chart() -> None:
    alone = {k: v for k, v in CONTROLLER.items() if k not in {"callers", "token_file"}}
    config = ControllerConfig.model_validate(alone | {"token": "t"})
    with pytest.raises(ConfigError, match="callers and tls are missing"):
        platform_of(config, scoring="", version="")


def test_jobs_of_a_suspended_run_have_no_pods_until_they_are_let() -> None:
    assert workers(suspend=True)["spec"]["suspend"] is True
    assert suspended(away=False) == {"spec": {"suspend": False}}


def test_a_job_is_never_made_to_vanish_before_somebody_says_so() -> None:
    job = workers(ttlSecondsAfterFinished=0)
    assert "ttlSecondsAfterFinished" not in job["spec"]
    assert expiring(60) == {"spec": {"ttlSecondsAfterFinished": 60}}
