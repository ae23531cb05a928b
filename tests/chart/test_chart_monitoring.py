"""What the chart makes for Prometheus and Grafana is what their operators and sidecars take."""

from __future__ import annotations

import json

import pytest

from support.binaries import folder
from support.charts import named, rendered
from support.strict_api import strict_api

MONITORED = {
    "monitoring": {
        "enabled": True,
        "labels": {"release": "kube-prometheus-stack"},
        "dashboards": {"enabled": True},
    }
}
KINDS = ("ServiceMonitor", "PodMonitor", "PrometheusRule")


@pytest.fixture
def made(evaluation):
    return rendered(evaluation | MONITORED)


@pytest.fixture(scope="module")
def operator(tmp_path_factory):
    """An API server that knows the prometheus-operator's own definitions."""
    definitions = folder("prometheus-operator") / "crd"
    if not definitions.is_dir():
        pytest.skip("needs its definitions: `make tools TOOLS=prometheus-operator`")
    with strict_api(tmp_path_factory.mktemp("api")) as api:
        for kind in KINDS:
            api.define(definitions / f"monitoring.coreos.com_{kind.lower()}s.yaml")
        yield api


@pytest.mark.parametrize("kind", KINDS)
def test_the_operators_own_definitions_take_our_objects(operator, made, kind):
    wanted = named(made, kind)
    place = f"/apis/{wanted['apiVersion']}/namespaces/space/{kind.lower()}s"
    taken = operator.ask("POST", place, wanted)
    assert taken["spec"]
    assert taken["metadata"]["labels"]["release"] == "kube-prometheus-stack"


def test_every_alert_says_what_to_do(made):
    (group,) = named(made, "PrometheusRule")["spec"]["groups"]
    assert len(group["rules"]) == 10
    for rule in group["rules"]:
        assert rule["annotations"]["summary"]
        where = f"docs/operations.md#{rule['alert'].lower()}"
        assert rule["annotations"]["runbook"] == where
        assert 'namespace="space"' in rule["expr"]


def test_every_dashboard_has_the_label_that_grafana_looks_for(made):
    boards = [o for o in made if "-dashboard-" in o["metadata"]["name"]]
    assert len(boards) == 4
    for each in boards:
        assert each["metadata"]["labels"]["grafana_dashboard"] == "1"
        (text,) = each["data"].values()
        panels = json.loads(text)["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels)
        assert all(panel["description"] for panel in panels)


def test_nothing_is_made_and_no_door_opened_unless_it_is_asked_for(evaluation):
    plain = rendered(evaluation)
    assert not [o for o in plain if o["kind"] in KINDS]
    assert not [o for o in plain if o["metadata"]["name"].endswith("-metrics")]


def test_the_door_alone_can_be_opened_to_some(evaluation):
    who = {"namespaceSelector": {"matchLabels": {"team": "monitoring"}}}
    values = {"monitoring": {"enabled": True, "operator": False, "scrapeFrom": [who]}}
    found = rendered(evaluation | values)
    assert not [o for o in found if o["kind"] in KINDS]
    (rule,) = named(found, "NetworkPolicy", "-metrics")["spec"]["ingress"]
    assert rule["from"] == [who]
