"""Commands about a cluster that need its API server alone, against a real one."""

from __future__ import annotations

import base64
import json
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator

import pytest

from assay.cluster.releases import Data, release_of
from assay.cluster.tokens import ReleaseToken
from assay.domain.errors import UnauthenticatedError
from assay.kube.objects import KubeObject
from assay.kube.resources import CONFIG_MAPS, EVAL_RUNS, SECRETS, Resource
from assay.rpc.callers import Caller, Role
from assay.rpc.cluster_tokens import ClusterKeys, ServiceAccountTokens
from support.api_server import ADMIN, NOBODY, ApiServer, running_api_server
from support.binaries import MissingError, binary
from support.cluster_release import Site, make_site, written

CLUSTER_ROLES = Resource(
    "rbac.authorization.k8s.io", "v1", "roles", "Role", namespaced=True
)
BINDINGS = Resource(
    "rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding", namespaced=True
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    try:
        for name in ("etcd", "kube-apiserver", "helm"):
            binary(name)
    except MissingError as error:
        pytest.skip(str(error))
    with running_api_server(tmp_path_factory.mktemp("api")) as running:
        yield running


@pytest.fixture
def site(server: ApiServer) -> Site:
    made = make_site(server, f"n{uuid.uuid4().hex[:8]}")
    made.release("demo")
    return made


def test_a_file_becomes_a_run_without_keys_and_a_secret_that_goes_with_it(
    site, tmp_path
):
    done = site.submit(written(tmp_path))
    assert (done.exit_code, done.stdout) == (0, "first-try\n"), done.stderr
    run = site.api.get(EVAL_RUNS, "first-try", site.namespace, of=KubeObject)
    assert (run.metadata.labels or {})["app.kubernetes.io/instance"] == "demo"
    secret = site.api.get(SECRETS, "first-try-keys", site.namespace, of=Data)
    keys = {k: base64.b64decode(v).decode() for k, v in (secret.data or {}).items()}
    assert keys == {"model.0": "secret-of-one", "model.1": "EMPTY"}
    owners = secret.metadata.owner_references or []
    assert [owner.uid for owner in owners] == [run.metadata.uid]
    shown = site.assay("status", "first-try", "--json").stdout
    assert "secret" not in shown


def test_the_same_file_again_changes_nothing_and_another_changes_the_run(
    site, tmp_path
):
    file = written(tmp_path)
    assert "created in release demo" in site.submit(file).stderr
    assert "unchanged in release demo" in site.submit(file).stderr
    other = written(tmp_path, fresh="two")
    assert "changed in release demo" in site.submit(other).stderr


def test_what_the_controller_would_refuse_is_refused_before_anything_is_written(
    site, tmp_path
):
    sources = {"MMBench_DEV_EN": {"path": "here.tsv"}}
    (tmp_path / "here.tsv").write_text("x")
    done = site.submit(written(tmp_path, dataset_sources=sources))
    assert done.exit_code == 2
    assert "error: dataset_sources." in done.stderr
    assert "spec." not in done.stderr
    assert site.assay("list", "--json").stdout == "[]\n"


def test_keys_of_the_platform_are_refused_and_those_of_one_run_are_its_placement(
    site, tmp_path
):
    done = site.submit(written(tmp_path, store={}))
    assert (done.exit_code, "error: store: " in done.stderr) == (2, True)
    placed = {"models": {"one": {"replicas": 3}}, "queue": {"name": "q"}}
    assert site.submit(written(tmp_path, **placed)).exit_code == 0


def test_of_several_releases_one_must_be_named(site, tmp_path):
    site.release("other")
    done = site.submit(written(tmp_path))
    assert done.exit_code == 2
    assert "demo, other" in done.stderr
    assert "cure: write --release demo" in done.stderr
    done = site.submit(written(tmp_path), "--release", "other")
    assert "created in release other" in done.stderr
    again = site.submit(written(tmp_path), "--release", "demo")
    assert (again.exit_code, "is of release other" in again.stderr) == (2, True)


def test_a_namespace_without_a_release_is_told_how_to_get_one(server, tmp_path):
    site = make_site(server, f"n{uuid.uuid4().hex[:8]}")
    done = site.submit(written(tmp_path))
    assert done.exit_code == 2
    assert "cure: helm install" in done.stderr


def test_the_run_of_a_release_itself_is_not_changed_by_a_submission(site, tmp_path):
    labels = {"app.kubernetes.io/managed-by": "Helm"}
    body = {"metadata": {"name": "first-try", "labels": labels}}
    spec = {"file": {"eval_config": {}}}
    site.api.create(EVAL_RUNS, {**body, "spec": spec}, site.namespace, of=KubeObject)
    done = site.submit(written(tmp_path))
    assert done.exit_code == 2
    assert "was made by Helm" in done.stderr


TASK = {
    "model": "one",
    "dataset": "D",
    "state": "COMPLETE",
    "total": 4,
    "answered": 4,
    "scored": 3,
    "unscored": 1,
    "score": 0.75,
}


def condition(kind, status, reason, message):
    """One as the API server takes it."""
    moment = {"lastTransitionTime": "2026-01-01T00:00:00Z"}
    told = {"type": kind, "status": status, "reason": reason, "message": message}
    return moment | told


def test_list_and_status_say_what_the_controller_wrote(site, tmp_path):
    site.submit(written(tmp_path))
    fine = condition("Failed", "False", "NotFailed", "[all] is well")
    told = {"progress": "4/8", "tasks": [TASK], "conditions": [fine]}
    site.told("first-try", "Inferring", **told)
    (row,) = json.loads(site.assay("list", "--json").stdout)
    expected = {"state": "Inferring", "progress": "4/8", "release": "demo"}
    assert row.items() >= expected.items()
    site.told("first-try", "Inferring", **told, models="m" * 200)
    (line,) = site.assay("list").stdout.splitlines()[2:]
    assert line.split() == ["first-try", "Inferring", "4/8", "m" * 200, "demo"]
    shown = site.assay("status", "first-try").stdout
    assert "Failed        no  NotFailed: [all] is well" in shown
    assert "one/D" in shown
    assert "75.0%" in shown


@pytest.mark.parametrize(
    ("state", "code"),
    [
        *(("Complete", 0), ("BelowCoverage", 3), ("Failed", 1)),
        *(("Refused", 2), ("Cancelled", 1)),
    ],
)
@pytest.mark.parametrize("command", ["wait", "watch"])
def test_waiting_ends_with_the_run_and_its_exit_code(
    site, tmp_path, command, state, code
):
    site.submit(written(tmp_path))
    site.told("first-try", "Inferring")
    ends = threading.Timer(0.5, site.told, ("first-try", state))
    ends.start()
    done = site.assay(command, "first-try", "--timeout", 60)
    ends.join()
    assert done.exit_code == code
    assert f"first-try: {state}" in done.stdout


def test_an_end_of_the_spec_before_is_not_waited_for(site, tmp_path):
    site.submit(written(tmp_path))
    site.told("first-try", "Complete")
    site.submit(written(tmp_path, fresh="two"))
    done = site.assay("wait", "first-try", "--timeout", 2)
    assert done.exit_code == 1
    assert "after 2 s" in done.stderr


def test_a_run_that_is_deleted_ends_the_waiting(site, tmp_path):
    site.submit(written(tmp_path))
    gone = (EVAL_RUNS, "first-try", site.namespace)
    ends = threading.Timer(0.5, site.api.delete, gone)
    ends.start()
    done = site.assay("wait", "first-try", "--timeout", 60)
    ends.join()
    assert (done.exit_code, "was deleted" in done.stderr) == (2, True)


@pytest.mark.parametrize("command", ["status", "wait", "watch", "logs", "cancel"])
def test_a_run_that_is_not_there_is_said_at_once(site, command):
    done = site.assay(command, "nothing")
    assert done.exit_code == 2
    assert "there is no run nothing" in done.stderr


@pytest.mark.parametrize("command", ["retry", "report"])
def test_what_is_neither_a_folder_nor_a_run_is_said(site, command):
    done = site.assay(command, "nothing")
    assert (done.exit_code, "no run nothing" in done.stderr) == (2, True)


async def caller(site, token, release):
    """Whom the services of a release take the holder of a token for."""
    server = site.server
    keys = ClusterKeys(
        f"{server.address}/openid/v1/jwks", lambda: ADMIN, server.folder / "ca.crt"
    )
    believes = ServiceAccountTokens(
        keys,
        issuer="https://kubernetes.default.svc",
        platform=f"{site.namespace}/{release}",
        accounts={Role.CLI: f"system:serviceaccount:{site.namespace}:demo-assay-cli"},
    )
    return await believes.caller(token)


async def test_the_token_of_a_command_proves_the_command_line_of_this_release(site):
    token = ReleaseToken(site.place, release_of(site.place, None))
    assert token.ask() == 400
    assert await caller(site, token(), "demo") == Caller(Role.CLI)
    with pytest.raises(UnauthenticatedError, match="none of this release"):
        await caller(site, token(), "other")


def test_who_may_not_is_told_the_right_that_is_missing(site):
    done = site.assay("list", token=NOBODY)
    assert done.exit_code == 1
    assert "the verb list on evalruns" in done.stderr


def test_doctor_names_services_that_do_not_run_and_goes_on(site):
    done = site.assay("doctor")
    assert done.exit_code == 1
    lines = done.stdout.splitlines()
    assert any(x.startswith("OK   definition evalruns.assay.dev") for x in lines)
    assert "FAIL aggregator of release demo: it has no pod" in lines
    assert "OK   rights of submit: allowed" in lines
    assert any(x.startswith("OK   token for release demo") for x in lines)
    assert any(x.startswith("FAIL calls to the aggregator") for x in lines)


def test_doctor_finds_runs_that_nobody_looks_after_and_refused_ones(site, tmp_path):
    site.submit(written(tmp_path))
    why = condition("Accepted", "False", "InvalidSpec", "data: is bad")
    site.told("first-try", "Refused", conditions=[why])
    spec = {"file": {"eval_config": {}}}
    body = {"metadata": {"name": "lost"}, "spec": spec}
    site.api.create(EVAL_RUNS, body, site.namespace, of=KubeObject)
    found = {
        each["about"]: each
        for each in json.loads(site.assay("doctor", "--json").stdout)
    }
    assert found["run first-try"]["words"] == "is refused: data: is bad"
    assert found["run lost"]["words"].startswith("is of release (none)")
    assert found["run lost"]["cure"]


def test_doctor_tells_a_caller_without_rights_what_each_command_lacks(site):
    rules = [
        {"apiGroups": [""], "resources": ["configmaps", "pods"], "verbs": ["list"]},
        {"apiGroups": ["assay.dev"], "resources": ["evalruns"], "verbs": ["*"]},
    ]
    role = {"metadata": {"name": "some"}, "rules": rules}
    site.api.create(CLUSTER_ROLES, role, site.namespace, of=KubeObject)
    subject = {"kind": "User", "name": "nobody", "apiGroup": CLUSTER_ROLES.group}
    ref = {"kind": "Role", "name": "some", "apiGroup": CLUSTER_ROLES.group}
    binding = {"metadata": {"name": "some"}, "roleRef": ref, "subjects": [subject]}
    site.api.create(BINDINGS, binding, site.namespace, of=KubeObject)
    lines = site.assay("doctor", token=NOBODY).stdout.splitlines()
    assert "OK   rights of list, status, watch, wait: allowed" in lines
    assert any("you may not get secrets, create secrets" in line for line in lines)
    (calls,) = [x for x in lines if x.startswith("FAIL rights of report")]
    assert "create serviceaccounts/token demo-assay-cli" in calls
    assert any(line.startswith("?    definition") for line in lines)


def test_an_execution_that_a_run_does_not_have_is_said_with_those_it_has(
    site, tmp_path
):
    site.submit(written(tmp_path))
    site.told("first-try", "Complete", runId="a-1", executions=[{"runId": "a-1"}])
    done = site.assay("report", "first-try", "--execution", "a-2")
    assert (done.exit_code, "name one of a-1" in done.stderr) == (2, True)


def test_who_waits_for_a_suspended_run_is_told(site, tmp_path):
    site.submit(written(tmp_path, suspend=True))
    site.told("first-try", "Suspended")
    done = site.assay("wait", "first-try", "--timeout", 1)
    assert "first-try is suspended" in done.stderr


def test_what_is_only_for_runs_of_this_machine_is_refused_for_others(site, tmp_path):
    for words in (("eval.yaml",), ("--json",), ("--unsealed",)):
        done = site.assay("retry", "first-try", *words)
        assert (done.exit_code, "is for runs of this machine" in done.stderr) == (
            2,
            True,
        )
    done = site.assay("report", tmp_path, "-o", tmp_path / "out")
    assert (done.exit_code, "is here already" in done.stderr) == (2, True)


def test_waiting_ends_at_once_on_a_stop(site, tmp_path):
    site.submit(written(tmp_path))
    config = site.server.kubeconfig()
    words = ["--kubeconfig", str(config), "--namespace", site.namespace]
    command = [sys.executable, "-m", "assay.cli.main", "watch", "first-try", *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "first-try: Pending" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        process.stderr.read()
        assert process.wait(30) == 130


def test_doctor_says_when_the_definition_is_older_than_the_chart(site):
    change = {"data": {"definition": "99"}}
    where = (CONFIG_MAPS, "demo-assay-cli", change, site.namespace)
    site.api.merge(*where, of=KubeObject)
    found = json.loads(site.assay("doctor", "--json").stdout)
    (line,) = [each for each in found if each["about"].startswith("definition")]
    assert (line["verdict"], "is older" in line["words"]) == ("FAIL", True)
    assert line["cure"].startswith("kubectl apply --server-side")
