"""An evaluation from `helm install` to its removal: two models, two datasets, and what one sees of it."""

import pytest

from support.cluster_digits import evaluation
from support.cluster_installed import PLATFORM, disk, now, writes
from support.pods import kubectl

TABLES = ("Digits60", "Backwards60")
MODELS = {"models": ("digits-svm", "digits-lda")}
ASKED = 240


@pytest.fixture(scope="module")
def values(release, digits):
    """The user's file, as values, and a store on a disk that stays."""
    with disk(release.namespace.name) as store:
        yield evaluation(digits.base, *TABLES, **MODELS) | store


@pytest.fixture(scope="module")
def evaluated(release, digits, values):
    """The release with its evaluation, complete; when it was asked for, installed, and complete."""
    digits.reset()
    begun = now()
    release.install(**values)
    installed = now()
    release.wait()
    return release, begun, installed, now()


def test_tables_and_metrics_are_those_of_one_machine(evaluated, here):
    release, *_ = evaluated
    found = release.results(release.run_id())
    assert len(found) == 5
    assert found == here.results(*TABLES, **MODELS)


def test_everything_is_asked_once(evaluated, digits, figure):
    _, begun, installed, complete = evaluated
    asked = digits.asked()
    assert (len(asked.counts), asked.twice) == (ASKED, {})
    first = asked.first - begun.timestamp()
    figure(f"helm install --wait {(installed - begun).total_seconds():.1f} s")
    figure(f"from `helm install` to the first question {first:.1f} s")
    figure(f"to Complete {(complete - begun).total_seconds():.1f} s, {ASKED} samples")
    assert first > 0


def test_nothing_is_written_to_the_api_server_for_a_sample(node, evaluated, figure):
    release, begun, *_ = evaluated
    told = writes(release.namespace.name, begun)
    ours = {w: n for w, n in told.items() if w.startswith("demo-")}
    figure(f"API writes of the platform, {ASKED} samples: {ours}")
    figure(f"API writes of all of the cluster: {sum(told.values())}")
    assert any("create jobs" in what for what in ours)
    assert sum(ours.values()) < ASKED / 3


def test_columns_conditions_and_events_tell_the_run(evaluated):
    release, *_ = evaluated
    table = release.namespace.kubectl("get", "evalruns").splitlines()
    columns = ["NAME", "MODELS", "DATASETS", "STATE", "PROGRESS", "SCORE", "AGE"]
    assert table[0].split() == columns
    assert f"Complete   {ASKED}/{ASKED}" in table[1]
    status = release.status()
    conditions = {c["type"]: c["status"] for c in status["conditions"]}
    assert conditions["Complete"] == conditions["Scored"] == "True"
    assert conditions["Failed"] == conditions["Suspended"] == "False"
    assert [e["state"] for e in status["executions"]] == ["Complete"]
    wanted = ["Accepted", "Prepared", "Answering", "AllAnswered", "Complete"]
    told = release.events()
    # Those of one pass bear one time; each is told once.
    assert sorted(r for r in told if r in wanted) == sorted(wanted)


def renewed(release, part):
    """Whether every pod of a part is the upgrade's, and ready."""
    pods = release.pods(part)
    ready = [
        pod["metadata"]["labels"].get("team") == "vision"
        and pod["status"].get("containerStatuses", [{}])[0].get("ready")
        for pod in pods
    ]
    return bool(ready) and all(ready)


def test_an_upgrade_of_the_platform_alone_starts_nothing(evaluated, values, digits):
    release, *_ = evaluated
    digits.reset()
    before = release.run_id()
    jobs = {j["metadata"]["uid"] for j in release.get("jobs")["items"]}
    labels = {"podLabels": {"team": "vision"}}
    parts = {part: PLATFORM[part] | labels for part in ("controller", "aggregator")}
    release.upgrade(**values | parts)
    for part in ("aggregator", "controller"):
        release.until(f"another {part}", lambda p=part: renewed(release, p))
    release.wait()
    assert release.run_id() == before
    # Those of the run that ended may go meanwhile; none may come.
    assert {j["metadata"]["uid"] for j in release.get("jobs")["items"]} <= jobs
    assert digits.asked().counts == {}


def test_helm_test_finds_the_release_in_order(evaluated):
    release, *_ = evaluated
    assert "Phase:          Succeeded" in release.helm("test")


def test_a_deleted_evalrun_stops_its_pods_and_its_results_stay(evaluated, digits, here):
    release, *_ = evaluated
    digits.reset(pace=0.5)
    release.submit("slow", evaluation(digits.base, "Digits200"))
    release.until("a worker runs", lambda: release.pods("infer", running=True))
    release.until("it asks", lambda: digits.asked().counts)
    run_id = release.run_id()
    release.namespace.kubectl("delete", "evalrun/slow")
    release.until("its pods are gone", lambda: not release.pods("infer"))
    release.namespace.kubectl("delete", "evalrun/demo")
    assert release.results(run_id) == here.results(*TABLES, **MODELS)


def test_a_release_that_goes_leaves_its_volume_and_finds_its_results_again(
    evaluated, values, digits, here
):
    release, *_ = evaluated
    release.helm("uninstall", "--wait")
    kinds = "deploy,sts,job,secret,role,rolebinding,networkpolicy,evalrun"
    assert release.get(kinds)["items"] == []
    (claim,) = release.get("pvc")["items"]
    assert claim["status"]["phase"] == "Bound"
    assert kubectl("get", "crd/evalruns.assay.dev", "-o", "name")
    digits.reset()
    release.install(**values)
    release.wait()
    assert release.condition("Complete")["reason"] == "AlreadyComplete"
    assert digits.asked().counts == {}
    assert release.results(release.run_id()) == here.results(*TABLES, **MODELS)
