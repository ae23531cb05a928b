"""Parity where it is hardest to keep: requests that fail, a limit, and every option that shapes a body."""

from collections import Counter

import pytest

from support.awkward_tsvs import awkward_tables, with_failures
from support.parity import PARAMETERS, run_both
from support.parity_endpoint import parity_endpoint
from support.parity_families import FAILING, LIMITED, SUBMITTED

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.peer,
    pytest.mark.timeout(600),
]

MODELS = (
    ("org/My.Model-7B", PARAMETERS | {"img_size": 120, "img_detail": "low"}),
    ("llava-o1", {"system_prompt": 'Be "brief".', "max_tokens": 9, "seed": 3}),
    ("maker:tag/with.dots", {"chat_template_kwargs": {"enable_thinking": False}}),
    ("my-gemini", {"max_tokens": 5, "temperature": 1}),
    ("plain", {"max_file_size": 20000}),
    ("Qwen2.5-VL-3B-Instruct", {"img_size": 300}),
)

ROWS = 26
"""The limit; even, because MME's rows come in pairs."""


@pytest.fixture(scope="module")
def failed(tmp_path_factory):
    """Both sides on rows some of which fail for ever, and the reason of each that does."""
    tables = {name: awkward_tables(name) for name in (*FAILING, SUBMITTED)}
    reasons = {name: with_failures(made) for name, made in tables.items()}
    with parity_endpoint() as endpoint:
        folder = tmp_path_factory.mktemp("failures")
        yield run_both(folder, endpoint, tables, failures=True), reasons


def unscored(failed, name):
    """Why each row without a verdict has none: its own request, or another of its group's."""
    both, reasons = failed
    found = dict(reasons[name])
    for unit in both.told(name)["units"]:
        if set(unit) & reasons[name].keys():
            found |= {i: "group_incomplete" for i in unit if i not in reasons[name]}
    return found


@pytest.mark.parametrize("name", FAILING)
def test_a_failed_request_is_unscored_with_its_reason_and_never_a_prediction(
    failed, name
):
    both, reasons = failed
    expected = unscored(failed, name)
    rows = both.samples(name)
    assert {r["sample_id"]: r["reason"] for r in rows if r["reason"]} == expected
    assert [r["sample_id"] for r in rows if r["prediction"] is None] == [
        r["sample_id"] for r in rows if r["sample_id"] in reasons[name]
    ]
    counted = both.assay.task(name)["counts"]["unscored_by_reason"]
    assert {k: v for k, v in counted.items() if v} == Counter(expected.values())


@pytest.mark.parametrize("name", FAILING)
def test_the_other_rows_keep_the_verdicts_of_the_whole_table(failed, name):
    """The verdict pass is upstream's evaluate() on all rows, with its FAIL text in the failed ones."""
    both, _ = failed
    expected = both.told(name)["verdicts"] | dict.fromkeys(unscored(failed, name))
    assert dict(both.column(name, "score")) == expected


@pytest.mark.parametrize("name", FAILING)
def test_the_prediction_file_is_vlmevalkits_fail_text_included(failed, name):
    """Upstream's files are shown with the score, and kept back where that is withheld."""
    both, _ = failed
    file = f"{both.key}_{name}.xlsx"
    if not both.assay.task(name)["metrics"]:
        assert both.files(name) == {}
        return
    assert both.files(name)[file] == both.peer_files(name)[file]


@pytest.mark.parametrize("name", FAILING)
def test_the_score_is_vlmevalkits_on_the_remaining_rows_or_withheld(failed, name):
    """Withheld where leaving rows out changes the verdict of a row that stays."""
    both, _ = failed
    told, gone = both.told(name), unscored(failed, name)
    kept = {k: v for k, v in told["verdicts"].items() if k not in gone}
    if kept != told["verdicts_of_remaining"]:
        assert both.assay.task(name)["metrics"] == []
        return
    tables, actual = both.peer_files(name, "remaining"), both.files(name)
    predictions = f"{both.key}_{name}.xlsx"
    assert sorted(tables) == sorted(actual)
    assert all(actual[file] == tables[file] for file in tables if file != predictions)


def test_leaving_failed_rows_out_does_change_a_verdict_somewhere(failed):
    """Else the case above would never be seen."""
    told = failed[0].told("OCRVQA_TESTCORE")
    rest = told["verdicts_of_remaining"]
    assert any(told["verdicts"][index] != rest[index] for index in rest)


def test_what_is_submitted_holds_vlmevalkits_fail_text(failed):
    """As upstream's file does; the rows themselves are told apart."""
    both, reasons = failed
    told = {sample_id for sample_id, why in both.column(SUBMITTED, "reason") if why}
    assert told == reasons[SUBMITTED].keys()
    assert both.files(SUBMITTED) == both.peer_files(SUBMITTED)


@pytest.fixture(scope="module")
def optioned(tmp_path_factory):
    """Both sides with several models in one file, each with parameters of its own."""
    with parity_endpoint() as endpoint:
        folder = tmp_path_factory.mktemp("options")
        tables = {"RealWorldQA": awkward_tables("RealWorldQA")}
        both = run_both(folder, endpoint, tables, models=MODELS, limit=12)
        assert both.assay.code == 0, both.assay.said
        yield both


@pytest.mark.parametrize("served", [served for served, _ in MODELS])
def test_options_shape_the_body_as_vlmevalkit_shapes_it(optioned, served):
    sent = {
        who: [
            body
            for bodies in optioned.asked(who, "RealWorldQA").values()
            for body in bodies
            if body["model"] == served
        ]
        for who in ("peer", "assay")
    }
    assert len(sent["peer"]) == 12
    assert sent["assay"] == sent["peer"]


@pytest.fixture(scope="module")
def limited(tmp_path_factory):
    with parity_endpoint() as endpoint:
        folder = tmp_path_factory.mktemp("limit")
        tables = {name: awkward_tables(name) for name in LIMITED}
        both = run_both(folder, endpoint, tables, limit=ROWS)
        assert both.assay.code == 0, both.assay.said
        yield both


@pytest.mark.parametrize("name", LIMITED)
def test_a_limit_takes_the_rows_and_gives_the_files_vlmevalkit_does(limited, name):
    assert len(limited.samples(name)) == ROWS
    assert limited.column(name, "prediction") == limited.peer_predictions(name)
    assert dict(limited.column(name, "score")) == limited.told(name)["verdicts"]
    assert limited.asked("assay", name) == limited.asked("peer", name)
    assert limited.files(name) == limited.peer_files(name)
