"""Each refusal says what was asked, where, why not, and what to do."""

from __future__ import annotations

import json
from typing import Any

from assay.kube.refusals import Request, asked_to_wait, refusal
from assay.kube.resources import EVAL_RUNS, JOBS, NAMESPACES, PODS


def said(request: Request, code: int, message: str, **more: Any) -> str:
    body = {"kind": "Status", "code": code, "message": message, **more}
    return str(refusal(request, code, json.dumps(body).encode()))


def test_a_denied_verb_names_the_rule_that_is_missing() -> None:
    request = Request("patch", JOBS, "eval", "demo-0", "status")
    assert said(request, 403, "forbidden") == (
        "cannot patch jobs.batch/status demo-0 in namespace eval: forbidden"
        " (let a Role or ClusterRole grant this caller the verb patch on jobs/status"
        ' (apiGroup "batch") in namespace eval)'
    )


def test_a_list_over_all_namespaces_says_so() -> None:
    text = said(Request("list", PODS), 403, "forbidden")
    assert text.startswith("cannot list pods anywhere: forbidden")


def test_a_kind_without_namespaces_names_none() -> None:
    text = said(Request("get", NAMESPACES, None, "eval"), 401, "Unauthorized")
    assert text == (
        "cannot get namespaces eval: Unauthorized"
        " (renew the token or certificate of this caller)"
    )


def test_an_unknown_kind_says_that_its_definition_is_missing() -> None:
    text = said(Request("list", EVAL_RUNS, "eval"), 404, "page not found")
    assert "(install the definition of evalruns.assay.dev (v1alpha1))" in text


def test_a_missing_object_asks_for_no_definition() -> None:
    request = Request("get", EVAL_RUNS, "eval", "demo")
    text = said(request, 404, "not found", details={"kind": "evalruns"})
    assert text == "cannot get evalruns.assay.dev demo in namespace eval: not found"


def test_an_invalid_object_names_its_wrong_fields() -> None:
    causes = [{"field": "spec.template", "message": "field is immutable"}]
    text = said(
        Request("patch", JOBS, "eval", "a"), 422, "invalid", details={"causes": causes}
    )
    assert text.endswith("invalid (mend spec.template: field is immutable)")


def test_a_proxy_that_speaks_no_json_is_quoted() -> None:
    error = refusal(Request("get", PODS, "eval", "a"), 502, b"<h1>Bad Gateway</h1>")
    assert "<h1>Bad Gateway</h1>" in str(error)


def test_a_wait_is_read_from_the_header_or_from_the_body() -> None:
    body = json.dumps({"details": {"retryAfterSeconds": 4}}).encode()
    assert asked_to_wait(body, "9") == 9.0
    assert asked_to_wait(body, None) == 4.0
    assert asked_to_wait(b"{}", None) is None
