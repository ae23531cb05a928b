"""The command line and a release that runs: submit, follow, fetch, mend and cancel, over forwarded ports."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from assay.cluster.place import place_of
from assay.cluster.releases import release_of
from assay.cluster.session import session_with
from assay.domain.errors import NotFoundError, PermissionDeniedError, TransientError
from support import cluster_model
from support.charts import CHART, helm
from support.cluster_images import platform
from support.pods import Namespace, kubectl

VALUES = platform()


@pytest.fixture(scope="module")
def site():
    """A namespace with a release and a model, for all tests here: each has a run of its own."""
    made = Namespace(f"test-{uuid.uuid4().hex[:8]}")
    made.create()
    try:
        helm("install", "demo", str(CHART), "-n", made.name, values=VALUES)
        cluster_model.start(made)
        for what in (
            "sts/demo-assay-minio",
            "sts/demo-assay-aggregator",
            "deploy/demo-assay-dataset",
            "deploy/demo-assay-controller",
        ):
            made.kubectl("rollout", "status", what, "--timeout=60s")
        yield made
    finally:
        made.delete()


def assay(site, *words, folder=None, **environment):
    """What a command does about the namespace."""
    command = [sys.executable, "-m", "assay.cli.main", *map(str, words)]
    return subprocess.run(
        [*command, "--namespace", site.name],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
        cwd=folder,
        env={**os.environ, **environment},
    )


def submitted(site, folder, name, **changes):
    """Submits a file; returns the run's name once the controller has taken it."""
    file = Path(folder) / f"{name}.json"
    file.write_text(json.dumps(cluster_model.evaluation(site, **changes)))
    done = assay(site, "submit", file)
    assert (done.returncode, done.stdout) == (0, f"{name}\n"), done.stderr
    assert "no controller" not in done.stderr
    return name


@pytest.fixture(scope="module")
def followed(site, tmp_path_factory):
    """A run that was submitted and watched to its end: its name and what `watch` said."""
    name = submitted(site, tmp_path_factory.mktemp("whole"), "whole")
    return name, assay(site, "watch", name, "--timeout", 100)


def test_a_run_is_watched_to_its_end(followed):
    name, done = followed
    assert done.returncode == 0, done.stderr
    assert f"run {name}: Complete" in done.stdout
    rows = cluster_model.ROWS
    assert f"tiny/Tiny: complete, {rows}/{rows}" in done.stderr


def test_the_whole_result_of_a_run_is_fetched_and_made_a_page_of(
    site, followed, tmp_path
):
    name, _ = followed
    out = tmp_path / "out"
    done = assay(site, "report", name, "-o", out, "--html")
    assert done.returncode == 0, done.stderr
    report = json.loads((out / "report.json").read_bytes())
    assert report["run"]["state"] == "COMPLETE"
    assert (out / "report.html").is_file()
    assert (out / "samples" / "tiny" / "Tiny.parquet").is_file()
    table = assay(site, "report", name).stdout
    assert "Overall 1.000 of 1" in " ".join(table.split())


def test_the_logs_of_a_run_are_followed_to_its_end(site, tmp_path):
    name = submitted(site, tmp_path, "spoken")
    done = assay(site, "logs", name, "--follow")
    assert done.returncode == 0, done.stderr
    events = {line.split(": ")[0].split("-")[2] for line in done.stdout.splitlines()}
    assert {"infer", "scorer"} <= events


def test_what_failed_is_asked_again_and_the_waiting_starts_anew(site, tmp_path):
    cluster_model.broken(site, so=True)
    try:
        name = submitted(site, tmp_path, "mended")
        assert assay(site, "wait", name, "--timeout", 100).returncode == 3
    finally:
        cluster_model.broken(site, so=False)
    done = assay(site, "retry", name)
    expected = f"{name}: goes on, {cluster_model.REFUSED} samples are asked again\n"
    assert (done.returncode, done.stdout) == (0, expected), done.stderr
    assert assay(site, "wait", name, "--timeout", 100).returncode == 0
    done = assay(site, "retry", name)
    assert done.stdout == f"{name}: nothing is left to ask\n"


def test_a_run_that_waits_for_its_model_is_cancelled_for_good(site, tmp_path):
    file = cluster_model.evaluation(site)
    (model,) = file["eval_config"]["model"]
    model["api_base"] = "http://nowhere.invalid/v1/chat/completions"
    name = submitted(site, tmp_path, "given-up", eval_config=file["eval_config"])
    done = assay(site, "cancel", name)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("is cancelled\n")
    done = assay(site, "wait", name, "--timeout", 60)
    assert (done.returncode, f"{name}: Cancelled" in done.stdout) == (1, True)


def test_doctor_finds_nothing_wrong_with_a_release_that_runs(site):
    done = assay(site, "doctor", "--json")
    found = json.loads(done.stdout)
    wrong = [f for f in found if f["verdict"] == "FAIL" and "run " not in f["about"]]
    assert wrong == []
    about = {finding["about"] for finding in found}
    assert "calls to the aggregator of release demo" in about
    assert "calls to the dataset of release demo" in about


def call(site, ask, component="aggregator"):
    """The answer to a call over a forwarded port."""
    place = place_of(namespace=site.name)

    async def main():
        release = release_of(place, None)
        async with session_with(place, release, component) as session:
            return await ask(session)

    return asyncio.run(main())


def test_a_command_line_may_not_do_what_is_the_controllers(site):
    with pytest.raises(PermissionDeniedError, match="Finish"):
        call(site, lambda session: session.run("any").finish())


def test_a_session_outlives_the_pod_it_was_opened_to(site):
    async def ask(session):
        with pytest.raises(NotFoundError):
            await session.run("any").get()
        pod = "pod/demo-assay-aggregator-0"
        await asyncio.to_thread(site.kubectl, "delete", pod)
        for _ in range(30):
            try:
                await session.ask(session.run("any").get)
            except NotFoundError:
                return True
            except TransientError:
                await asyncio.sleep(1)
        return False

    assert call(site, ask)


READ_ONLY = [
    {
        "apiGroups": [""],
        "resources": ["configmaps", "pods"],
        "verbs": ["get", "list"],
    },
    {
        "apiGroups": ["assay.dev"],
        "resources": ["evalruns"],
        "verbs": ["get", "list", "watch"],
    },
]
FORWARD = {
    "apiGroups": [""],
    "resources": ["pods/portforward"],
    "verbs": ["get", "create"],
}
TOKEN = {
    "apiGroups": [""],
    "resources": ["serviceaccounts/token"],
    "resourceNames": ["demo-assay-cli"],
    "verbs": ["create"],
}


def kubeconfig_of(site, folder, name, rules):
    """A kubeconfig of somebody who has these rights."""
    meta = {"name": name}
    rbac = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": meta}
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    subject = {"kind": "ServiceAccount", "name": name, "namespace": site.name}
    site.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta},
        {**rbac, "kind": "Role", "rules": rules},
        {**rbac, "kind": "RoleBinding", "roleRef": ref, "subjects": [subject]},
    )
    token = site.kubectl("create", "token", name).strip()
    config = json.loads(kubectl("config", "view", "--raw", "-o", "json"))
    for user in config["users"]:
        user["user"] = {"token": token}
    path = Path(folder) / f"{name}.kubeconfig"
    path.write_text(json.dumps(config))
    return path


@pytest.mark.parametrize(
    ("more", "missing"),
    [
        ([], "serviceaccounts/token"),
        ([TOKEN], "pods/portforward"),
        ([TOKEN, FORWARD], ""),
    ],
    ids=["reader", "asker", "user"],
)
def test_rbac_decides_who_reaches_the_services(site, followed, tmp_path, more, missing):
    run, _ = followed
    rules = [*READ_ONLY, *more]
    config = kubeconfig_of(site, tmp_path, f"some-{len(rules)}", rules)
    done = assay(site, "report", run, "--kubeconfig", config)
    assert done.returncode == (1 if missing else 0), done.stderr
    assert missing in done.stderr
