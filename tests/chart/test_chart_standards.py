"""Every way to install the chart, before those who judge manifests for a living."""

import json

import pytest
import yaml

from support.chart_checks import ChecksUnavailableError, checkov, strictly_valid
from support.chart_values import CERT_MANAGER, EVERY
from support.charts import named, rendered
from support.strict_api import strict_api

OLDEST_TO_NEWEST = ("1.31", "1.34", "1.37")
CASES = pytest.mark.parametrize("values", EVERY.values(), ids=EVERY)


@pytest.fixture(scope="module")
def manifests(tmp_path_factory):
    """A folder with every object of every release, once."""
    found = {}
    for values in [*EVERY.values(), CERT_MANAGER]:
        for each in rendered(values):
            told = each["metadata"] if each["kind"] == "Secret" else each
            found[each["kind"], json.dumps(told, sort_keys=True)] = each
    made = tmp_path_factory.mktemp("manifests")
    (made / "all.yaml").write_text(yaml.safe_dump_all(found.values()))
    return made


@pytest.fixture(scope="module")
def strict(tmp_path_factory):
    with strict_api(tmp_path_factory.mktemp("api")) as made:
        for path, name, more in (
            ("scheduling.k8s.io/v1/priorityclasses", "high", {"value": 1}),
            ("node.k8s.io/v1/runtimeclasses", "nvidia", {"handler": "nvidia"}),
        ):
            made.ask("POST", f"/apis/{path}", {"metadata": {"name": name}, **more})
        yield made


def test_checkov_finds_nothing_that_has_no_written_reason(manifests):
    try:
        found = checkov(manifests)
    except ChecksUnavailableError as error:
        pytest.skip(str(error))
    assert found["summary"]["parsing_errors"] == 0
    failed = found["results"]["failed_checks"]
    assert [f"{each['check_id']} {each['resource']}" for each in failed] == []
    skipped = found["results"]["skipped_checks"]
    assert all(len(each["check_result"]["suppress_comment"]) > 20 for each in skipped)
    assert found["summary"]["passed"] > 1000


@pytest.mark.parametrize("version", OLDEST_TO_NEWEST)
def test_no_kubernetes_that_is_supported_has_an_unknown_field_to_complain_of(
    manifests, version
):
    try:
        assert strictly_valid(version, sorted(manifests.iterdir())) == ""
    except ChecksUnavailableError as error:
        pytest.skip(str(error))


def test_a_field_that_no_kubernetes_knows_would_be_found(tmp_path):
    place = tmp_path / "one.yaml"
    spoilt = named(rendered(EVERY["the platform alone"]), "Service", "-aggregator")
    spoilt["spec"]["typo"] = True
    place.write_text(yaml.safe_dump(spoilt))
    try:
        assert "typo" in strictly_valid("1.34", [place])
    except ChecksUnavailableError as error:
        pytest.skip(str(error))


@CASES
def test_the_api_server_takes_every_object_without_a_warning(strict, values):
    for each in rendered(values):
        group, plural = PLACES[each["kind"]]
        root = f"/apis/{group}" if "/" in group else f"/api/{group}"
        path = f"{root}/namespaces/space/{plural}?dryRun=All"
        assert strict.ask("POST", path, each)["kind"] == each["kind"]


@CASES
def test_every_pod_is_let_in_under_pod_security_restricted(strict, values):
    for each in rendered(values):
        template = each["spec"].get("template") if "spec" in each else None
        if each["kind"] == "EvalRun" or template is None:
            continue
        pod = {"apiVersion": "v1", "kind": "Pod", **template}
        pod["metadata"]["generateName"] = "tried-"
        strict.ask("POST", "/api/v1/namespaces/space/pods?dryRun=All", pod)


PLACES = {
    "ConfigMap": ("v1", "configmaps"),
    "Deployment": ("apps/v1", "deployments"),
    "EvalRun": ("assay.dev/v1alpha1", "evalruns"),
    "NetworkPolicy": ("networking.k8s.io/v1", "networkpolicies"),
    "PersistentVolumeClaim": ("v1", "persistentvolumeclaims"),
    "Pod": ("v1", "pods"),
    "PodDisruptionBudget": ("policy/v1", "poddisruptionbudgets"),
    "Role": ("rbac.authorization.k8s.io/v1", "roles"),
    "RoleBinding": ("rbac.authorization.k8s.io/v1", "rolebindings"),
    "Secret": ("v1", "secrets"),
    "Service": ("v1", "services"),
    "ServiceAccount": ("v1", "serviceaccounts"),
    "StatefulSet": ("apps/v1", "statefulsets"),
}
