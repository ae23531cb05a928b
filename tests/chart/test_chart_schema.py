"""What values may be: every key known, a misspelt one named with its path, in step with the models."""

import json

import pytest

from assay.config.chart import values_schema
from support.charts import CHART, helm, refusal, rendered


def test_the_schema_is_what_the_models_say():
    committed = json.loads((CHART / "values.schema.json").read_text())
    assert committed == values_schema(), (
        "python -m assay.config.chart > charts/assay/values.schema.json"
    )


def test_the_chart_passes_helms_own_lint(platform):
    assert "0 chart(s) failed" in helm("lint", str(CHART), "--strict", values=platform)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"stor": {}}, "stor"),
        ({"store": {"bukket": "x", "demo": {"enabled": True}}}, "bukket"),
        ({"aggregator": {"replicas": 3}}, "replicas"),
        ({"images": {"pullPolicy": "Sometimes"}}, "pullPolicy"),
        ({"models": {"m": {"serving": {"enginee": "vllm"}}}}, "enginee"),
        ({"controller": {"replicas": 0}}, "replicas"),
    ],
)
def test_a_wrong_key_or_value_stops_the_installation_by_its_name(
    platform, change, said
):
    assert said in refusal({**platform, **change})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"nprocc": 4}, "nprocc"),
        ({"limit": "many"}, "limit"),
        ({"data": "MMStar"}, "data"),
        ({"model": [{"type": "m"}]}, "name"),
    ],
)
def test_a_typo_in_the_evalscope_part_stops_the_installation(evaluation, change, said):
    evaluation["eval_config"].update(change)
    assert said in refusal(evaluation)


def test_free_words_may_be_numbers_and_whole_floats_whole_numbers(evaluation):
    evaluation["fresh"] = 2
    evaluation["eval_config"]["limit"] = 20.0
    assert rendered(evaluation)
