"""What the chart renders is what the controller admits: one file, two readers."""

from __future__ import annotations

import json

import msgspec

from assay.config import parse
from assay.controller.evalrun import EvalRun, read
from support.charts import named, rendered


def request_of(values):
    run = named(rendered(values), "EvalRun")
    return read(msgspec.json.decode(json.dumps(run), type=EvalRun))


def test_the_charts_evalrun_is_the_run_of_its_file(evaluation):
    request = request_of(evaluation)
    file = {"eval_config": evaluation["eval_config"]}
    assert [d.name for d in request.run.datasets] == parse(file).eval_config.data
    assert request.keys_secret == "demo-assay-keys"


def test_what_the_chart_says_of_pods_reaches_them(evaluation):
    (key,) = [model.key for model in request_of(evaluation).run.models]
    pods = {"replicas": 3, "nodeSelector": {"gpu": "a"}}
    queue = {"name": "gpus", "priorityClass": ""}
    placement = request_of(
        evaluation | {"models": {key: pods}, "queue": queue}
    ).placement
    assert placement.of(key).replicas == 3
    assert placement.of(key).node_selector == {"gpu": "a"}
    assert placement.queue.name == "gpus"


def test_an_upgrade_of_the_platform_alone_names_no_other_execution(evaluation):
    newer = evaluation | {"images": {"worker": {"repository": "w", "tag": "9"}}}
    assert request_of(newer) == request_of(evaluation)
