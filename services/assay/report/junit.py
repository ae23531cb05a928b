"""A run as JUnit XML, which CI systems show as tests; `assay report --junit` writes it.

A suite per model: one test per dataset that it was scored, and one per threshold that it was reached.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from assay.report.headline import headline_metrics
from assay.report.terminal import clean
from assay.report.thresholds import Check

Report = Mapping[str, Any]


def junit_xml(report: Report, checks: Sequence[Check]) -> bytes:
    """The document; what is withheld or below a threshold is a failure, what failed is an error."""
    run = report["run"]
    seconds = _seconds(run)
    root = Element("testsuites", name=clean(run["name"] or run["id"]), time=seconds)
    models = dict.fromkeys(task["model"] for task in report["tasks"])
    for model in models:
        suite = SubElement(
            root,
            "testsuite",
            name=clean(model),
            timestamp=clean(run["started"]).removesuffix("Z"),
            time=seconds,
        )
        _properties(suite, report)
        for task in report["tasks"]:
            if task["model"] == model:
                _scored(suite, task)
        for check in checks:
            if check.model == clean(model):
                _reached(suite, check)
        _count(suite)
    _count(root)
    indent(root)
    document: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _properties(suite: Element, report: Report) -> None:
    properties = SubElement(suite, "properties")
    facts = {
        "run": report["run"]["id"],
        "spec_digest": report["run"]["spec_digest"],
        **report["provenance"]["versions"],
    }
    for name, value in facts.items():
        SubElement(properties, "property", name=clean(name), value=clean(value))


def _scored(suite: Element, task: Report) -> None:
    case = _case(suite, task["model"], task["dataset"], "scored")
    state = str(task["state"])
    why = clean(task["withheld"] or task["message"] or state)
    if state == "FAILED":
        SubElement(case, "error", type=state, message=why)
    elif state != "COMPLETE":
        SubElement(case, "failure", type=state, message=why)
    counts = task["counts"]
    lines = [f"scored {counts['scored']} of {counts['total']}"]
    lines += [f"unscored, {r}: {n}" for r, n in counts["unscored_by_reason"].items()]
    lines += [
        f"{metric['name']} [{metric['split']}]: {metric['value']}"
        for metric in headline_metrics(task["metrics"])
    ]
    SubElement(case, "system-out").text = "\n".join(map(clean, lines))


def _reached(suite: Element, check: Check) -> None:
    name = f"{check.figure} >= {check.least:.10g}"
    case = _case(suite, check.model, check.dataset, name)
    if not check.reached:
        SubElement(case, "failure", type="threshold", message=check.why)


def _case(suite: Element, model: str, dataset: str, name: str) -> Element:
    return SubElement(
        suite,
        "testcase",
        classname=f"{clean(model)}.{clean(dataset)}",
        name=name,
        time="0",
    )


def _count(element: Element) -> None:
    """Writes how many tests are below an element, as readers of this format expect it."""
    counted = {"tests": "testcase", "failures": "failure", "errors": "error"}
    for attribute, tag in counted.items():
        element.set(attribute, str(sum(1 for _ in element.iter(tag))))
    element.set("skipped", "0")


def _seconds(run: Report) -> str:
    try:
        began, ended = (
            datetime.fromisoformat(run[key]) for key in ("started", "finished")
        )
    except ValueError:
        return "0"
    return f"{(ended - began).total_seconds():.3f}"
