"""What the controller builds, before a real API server: no unknown field, no offence against `restricted`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import msgspec
import pytest
import yaml

from assay.controller.conditions import EvalRunStatus
from assay.controller.evalrun import EvalRun, admitted
from assay.controller.jobs import expiring, rescaled, suspended
from assay.controller.status import event, notices, status_of
from assay.controller.words import Sight
from support.api_server import ADMIN, ApiServer, running_api_server
from support.binaries import MissingError, binary
from support.charts import CHART
from support.controlled import TASK, pod_of, scorer, workers
from support.decisions import snapshot, task
from support.evalruns import FILE
from support.served import EVERY, served_workers

JOBS = "/apis/batch/v1/namespaces/space/jobs"
RUNS = "/apis/assay.dev/v1alpha1/namespaces/space/evalruns"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
KINDS = {
    "worker": workers(),
    "scorer": scorer(),
    **{name: served_workers(serving) for name, serving in EVERY.items()},
}
EACH = pytest.mark.parametrize("job", KINDS.values(), ids=KINDS)


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

    def patch(self, path: str, body):
        return self.ask("PATCH", path, body, "application/merge-patch+json")

    def define(self) -> None:
        """Has it know EvalRuns; returns when it takes them."""
        definition = yaml.safe_load((CHART / "crds/evalruns.yaml").read_text())
        path = f"{DEFINITIONS}/{definition['metadata']['name']}"
        self.ask("POST", DEFINITIONS, definition)
        until = time.monotonic() + 60
        while time.monotonic() < until:
            status = self.ask("GET", path, None).get("status") or {}
            facts = status.get("conditions") or []  # `null` until it was looked at
            if any(f["type"] == "Established" and f["status"] == "True" for f in facts):
                return
            time.sleep(0.1)
        raise AssertionError("the definition was not established")


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
        made.define()
        yield made


@EACH
def test_the_api_server_takes_a_job_of_ours_whole(strict: Strict, job) -> None:
    made = strict.ask("POST", JOBS, job)
    (owner,) = made["metadata"]["ownerReferences"]
    assert owner["kind"] == "EvalRun"


@EACH
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
    name = f"{JOBS}/{made['metadata']['name']}"
    assert strict.patch(name, rescaled(3))["spec"]["completions"] == 3
    assert strict.patch(name, rescaled(1))["spec"]["parallelism"] == 1
    assert strict.patch(name, suspended(away=True))["spec"]["suspend"] is True
    spec = strict.patch(name, expiring(60))["spec"]
    assert spec["ttlSecondsAfterFinished"] == 60


def test_a_status_and_its_events_are_taken_whole(strict: Strict) -> None:
    body = {"apiVersion": "assay.dev/v1alpha1", "kind": "EvalRun"}
    body |= {"metadata": {"name": "told"}, "spec": {"file": FILE}}
    made = msgspec.json.encode(strict.ask("POST", RUNS, body))
    item = msgspec.json.decode(made, type=EvalRun)
    seen = snapshot(
        task("COMPLETE", "My_Model", "MMStar", total=4, scored=4), state="COMPLETE"
    )
    sight = Sight(admission=admitted(item), snapshot=seen, scores={TASK: 0.5})
    status = status_of(sight, item.told(), "2026-11-25T12:00:00Z")
    patch = {"status": msgspec.to_builtins(status)}
    kept = strict.patch(f"{RUNS}/told/status", patch)["status"]
    assert msgspec.convert(kept, type=EvalRunStatus) == status
    for notice in notices(item.told(), status):
        told = event(
            notice, item.metadata, reporter="c-0", now="2026-11-25T12:00:00.000000Z"
        )
        strict.ask("POST", "/apis/events.k8s.io/v1/namespaces/space/events", told)
