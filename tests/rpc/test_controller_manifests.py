"""What the controller builds, before a real API server: no unknown field, no offence against `restricted`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import msgspec
import pytest

from assay.controller.conditions import EvalRunStatus
from assay.controller.evalrun import EvalRun, admitted
from assay.controller.jobs import expiring, rescaled, suspended
from assay.controller.status import event, notices, status_of
from assay.controller.words import Sight
from support.controlled import pod_of, scorer, workers
from support.decisions import headline, snapshot, task
from support.evalruns import FILE
from support.local_pods import local_workers
from support.served import EVERY, served_workers
from support.strict_api import Strict, strict_api

JOBS = "/apis/batch/v1/namespaces/space/jobs"
RUNS = "/apis/assay.dev/v1alpha1/namespaces/space/evalruns"
KINDS = {
    "worker": workers(),
    "scorer": scorer(),
    "local": local_workers(),
    **{name: served_workers(serving) for name, serving in EVERY.items()},
}
EACH = pytest.mark.parametrize("job", KINDS.values(), ids=KINDS)


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Strict]:
    with strict_api(tmp_path_factory.mktemp("api")) as made:
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
    done = task("COMPLETE", "My_Model", "MMStar", total=4, scored=4)
    seen = snapshot(replace(done, score=headline(0.5)), state="COMPLETE")
    sight = Sight(admission=admitted(item), snapshot=seen)
    status = status_of(sight, item.told(), "2026-11-25T12:00:00Z")
    patch = {"status": msgspec.to_builtins(status)}
    kept = strict.patch(f"{RUNS}/told/status", patch)["status"]
    assert msgspec.convert(kept, type=EvalRunStatus) == status
    for notice in notices(item.told(), status):
        told = event(
            notice, item.metadata, reporter="c-0", now="2026-11-25T12:00:00.000000Z"
        )
        strict.ask("POST", "/apis/events.k8s.io/v1/namespaces/space/events", told)
