"""The Job of a judge's workers: what a model's is, with an image, a role and a key of its own."""

from __future__ import annotations

import pytest

from assay.controller.evalrun import read
from assay.domain.errors import ConfigError
from assay.domain.judge import JUDGE_QUEUE
from support.controlled import workers
from support.evalruns import evalrun, file_with

NAMED = {"judge": "judge-1", "judge_base_url": "http://judge.test/v1"}
FILE = file_with(data=["MMVet"], **NAMED)
SERVED = file_with(data=["MMVet"], judge="judge-1")
SERVING = {"engine": "vllm", "image": "vllm/vllm-openai:1", "model": "org/judge"}


def placed(**judge):
    return {"images": {"judge": "assay/judge:1"}, "judge": judge}


def spec_of(job):
    return job["spec"]["template"]["spec"]


def volumes(job):
    return {each["name"]: each for each in spec_of(job)["volumes"]}


def test_a_judges_pods_have_their_own_image_role_and_key() -> None:
    job = workers(JUDGE_QUEUE, file=FILE, placement=placed(replicas=2))
    (container,) = spec_of(job)["containers"]
    assert container["image"] == "assay/judge:1"
    assert job["metadata"]["labels"]["app.kubernetes.io/component"] == "judge"
    assert spec_of(job)["serviceAccountName"] == "demo-assay-judge"
    (source,) = volumes(job)["identity"]["projected"]["sources"]
    assert source["serviceAccountToken"]["audience"].endswith("/judge")
    assert volumes(job)["key"]["secret"]["items"] == [{"key": "judge", "path": "key"}]
    assert (job["spec"]["completionMode"], job["spec"]["parallelism"]) == ("Indexed", 2)


def test_a_judge_that_is_launched_is_a_sidecar_and_needs_no_key() -> None:
    job = workers(JUDGE_QUEUE, file=SERVED, placement=placed(serving=SERVING))
    (engine,) = spec_of(job)["initContainers"]
    assert (engine["image"], engine["restartPolicy"]) == (SERVING["image"], "Always")
    told = {each["name"]: each["value"] for each in engine["env"]}
    assert (told["ASSAY_SERVED_NAME"], told["ASSAY_WEIGHTS"]) == (
        "judge-1",
        "org/judge",
    )
    assert "key" not in volumes(job)


@pytest.mark.parametrize(
    ("file", "judge", "said"),
    [
        (FILE, {"serving": SERVING}, "judge.serving launches an engine"),
        (
            file_with(
                data=["MMVet"], judge="judge-1", judge_base_url="http://[::1]:1/v1"
            ),
            {},
            "spec.placement.judge.serving",
        ),
        (FILE, {"local": {"claim": "weights"}}, "judge.local: a judge is asked at"),
    ],
)
def test_a_judge_that_nobody_would_ask_is_refused_with_the_cure(
    file, judge, said
) -> None:
    with pytest.raises(ConfigError) as refused:
        read(evalrun(file, placement=placed(**judge), keysSecret="demo-keys"))
    assert said in str(refused.value)
