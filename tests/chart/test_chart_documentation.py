"""docs/kubernetes.md says what the chart and the definition say, and its examples can be installed."""

import re
from pathlib import Path

import pytest
import yaml

from assay.controller.conditions import Kind
from support import chart_values
from support.charts import CHART, named, rendered

PAGE = (Path(__file__).parents[2] / "docs/kubernetes.md").read_text("utf-8")
BLOCKS = [
    yaml.safe_load(text.replace("[…]", "[]"))
    for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
]
STORES = [block for block in BLOCKS if "store" in block]


def test_every_field_of_a_spec_and_every_condition_is_explained():
    definition = yaml.safe_load((CHART / "crds/evalruns.yaml").read_text())
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    fields = schema["properties"]["spec"]["properties"]
    missing = [name for name in [*fields, *Kind] if f"\n| `{name}` |" not in PAGE]
    assert missing == []


@pytest.mark.parametrize("store", STORES, ids=["demo", "elsewhere"])
def test_an_example_of_a_store_can_be_installed(store):
    assert rendered({**chart_values.evaluation(), **store})


def test_the_example_of_an_engine_can_be_installed():
    (models,) = [block for block in BLOCKS if "models" in block]
    values = {**chart_values.platform(), **chart_values.seed(), **models}
    assert named(rendered(values), "EvalRun")


def test_the_role_for_people_names_the_account_of_a_release_called_demo():
    (role,) = [block for block in BLOCKS if "rules" in block]
    tokens = [r for r in role["rules"] if r["resources"] == ["serviceaccounts/token"]]
    objects = rendered(chart_values.platform())
    account = named(objects, "ServiceAccount", "-cli")["metadata"]["name"]
    assert [rule["resourceNames"] for rule in tokens] == [[account]]


def test_the_example_of_an_evalrun_has_only_fields_that_there_are():
    (run,) = [block for block in BLOCKS if block.get("kind") == "EvalRun"]
    known = set(named(rendered(chart_values.evaluation()), "EvalRun")["spec"])
    assert set(run["spec"]) <= known
