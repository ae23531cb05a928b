"""The chart installed for real: its services come up under Pod Security `restricted`, over its own store."""

import json

import pytest

from support.charts import CHART


@pytest.fixture(scope="module")
def installed(release):
    """A release named demo in a namespace of its own, without waiting for it."""
    release.helm("install", str(CHART), values={})
    yield release.namespace
    release.helm("uninstall")


def test_the_services_become_ready_and_the_store_is_claimed(installed):
    for what in ("sts/demo-assay-minio", "sts/demo-assay-aggregator"):
        installed.kubectl("rollout", "status", what, "--timeout=90s")
    installed.kubectl("rollout", "status", "deploy/demo-assay-dataset", "--timeout=90s")
    events = json.loads(installed.kubectl("get", "events", "-o", "json"))["items"]
    refused = [e["message"] for e in events if "PodSecurity" in e["message"]]
    assert refused == []


def lease_of(namespace):
    name = "lease/demo-assay-aggregator"
    return json.loads(namespace.kubectl("get", name, "-o", "json"))["spec"]


def test_an_aggregator_that_is_killed_hands_its_lease_to_the_next(installed):
    rollout = ("rollout", "status", "sts/demo-assay-aggregator", "--timeout=90s")
    installed.kubectl(*rollout)
    before = lease_of(installed)
    pod = "pod/demo-assay-aggregator-0"
    installed.kubectl("delete", pod, "--grace-period=0", "--force")
    installed.kubectl("wait", "--for=create", pod, "--timeout=60s")
    installed.kubectl(*rollout)
    after = lease_of(installed)
    assert after["holderIdentity"] not in {"", before["holderIdentity"]}
    assert after["leaseTransitions"] == before["leaseTransitions"] + 1


def test_a_release_leaves_nothing_outside_its_namespace_but_the_definition(installed):
    names = installed.kubectl("get", "crd,clusterrole,clusterrolebinding", "-o", "name")
    ours = [name for name in names.split() if "assay" in name]
    assert ours == ["customresourcedefinition.apiextensions.k8s.io/evalruns.assay.dev"]
