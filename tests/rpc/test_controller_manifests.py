"""What the controller builds, before a real API server: no unknown field, no offence against `restricted`."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from assay.controller.jobs import expiring, rescaled, suspended
from support.api_server import ADMIN, ApiServer, running_api_server
from support.binaries import MissingError, binary
from support.controlled import pod_of, scorer, workers

JOBS = "/apis/batch/v1/namespaces/space/jobs"
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
BOTH = pytest.mark.parametrize("job", [workers(), scorer()], ids=["worker", "scorer"])


class Strict:
    """An API server that takes no unknown field."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self._pool = server.access().pool(retries=False, timeout=20)

    def ask(self, method: str, path: str, body, kind="application/json"):
        answer = self._pool.request(
            method,
            f"{self._server.address}{path}?fieldValidation=Strict",
            body=json.dumps(body),
            headers={"Authorization": f"Bearer {ADMIN}", "Content-Type": kind},
        )
        assert answer.status < 300, answer.data.decode()
        assert "Warning" not in answer.headers, answer.headers["Warning"]
        return answer.json()

    def patch(self, name: str, body):
        kind = "application/merge-patch+json"
        return self.ask("PATCH", f"{JOBS}/{name}", body, kind)


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Strict]:
    try:
        for name in ("etcd", "kube-apiserver"):
            binary(name)
    except MissingError as error:
        pytest.skip(str(error))
    with running_api_server(tmp_path_factory.mktemp("api")) as server:
        made = Strict(server)
        space = {"metadata": {"name": "space", "labels": RESTRICTED}}
        made.ask("POST", "/api/v1/namespaces", space)
        yield made


@BOTH
def test_the_api_server_takes_a_job_of_ours_whole(strict: Strict, job) -> None:
    made = strict.ask("POST", JOBS, job)
    (owner,) = made["metadata"]["ownerReferences"]
    assert owner["kind"] == "EvalRun"


@BOTH
def test_a_pod_of_ours_is_let_in_under_pod_security_restricted(
    strict: Strict, job
) -> None:
    pod = pod_of(job)
    pod["metadata"]["generateName"] = "tried-"
    strict.ask("POST", "/api/v1/namespaces/space/pods", pod)


def test_a_pod_with_one_right_more_would_not_be_let_in(strict: Strict) -> None:
    pod = pod_of(workers())
    pod["metadata"]["generateName"] = "tried-"
    pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
    with pytest.raises(AssertionError, match="restricted"):
        strict.ask("POST", "/api/v1/namespaces/space/pods", pod)


def test_a_job_of_workers_can_be_rescaled_suspended_and_made_to_expire(
    strict: Strict,
) -> None:
    made = strict.ask("POST", JOBS, workers(generation=7))
    name = made["metadata"]["name"]
    assert strict.patch(name, rescaled(3))["spec"]["completions"] == 3
    assert strict.patch(name, rescaled(1))["spec"]["parallelism"] == 1
    assert strict.patch(name, suspended(away=True))["spec"]["suspend"] is True
    spec = strict.patch(name, expiring(60))["spec"]
    assert spec["ttlSecondsAfterFinished"] == 60
