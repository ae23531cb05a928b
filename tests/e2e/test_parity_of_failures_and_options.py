"""Parity where it is hardest to keep: requests that fail, a limit, and every option that shapes a body."""

from collections import Counter

import pytest

from support.awkward_tsvs import awkward_dataset, with_failures
from support.parity import PARAMETERS, content, run_both
from support.parity_endpoint import parity_endpoint

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.peer,
    pytest.mark.timeout(600),
]

FAILING = ("SEEDBench_IMG", "POPE", "ChartQA_TEST", "TextVQA_VAL", "OCRVQA_TESTCORE")


@pytest.fixture(scope="module")
def failed(tmp_path_factory):
    """Both sides on rows some of which fail for ever, and the reason of each that does."""
    made = [awkward_dataset(name) for name in FAILING]
    reasons = {tag: why for one in made for tag, why in with_failures(one).items()}
    with parity_endpoint() as endpoint:
        folder = tmp_path_factory.mktemp("failures")
        yield run_both(folder, endpoint, made, failures=True), reasons


def _reasons(reasons, name):
    """By sample id, which in these datasets is the number in the tag."""
    prefix = f"{name}-"
    return {
        str(int(tag.removeprefix(prefix))): why
        for tag, why in reasons.items()
        if tag.startswith(prefix)
    }


@pytest.mark.parametrize("name", FAILING)
def test_a_failed_request_is_unscored_with_its_reason_and_never_a_prediction(
    failed, name
):
    both, reasons = failed
    rows = both.assay.samples(name)
    unscored = {r["sample_id"]: r["reason"] for r in rows if r["state"] == "UNSCORED"}
    assert unscored == _reasons(reasons, name)
    assert {r["prediction"] for r in rows if r["state"] == "UNSCORED"} == {None}
    counted = both.assay.task(name)["counts"]["unscored_by_reason"]
    assert {k: v for k, v in counted.items() if v} == Counter(unscored.values())


@pytest.mark.parametrize("name", FAILING)
def test_the_other_rows_keep_the_verdicts_of_the_whole_table(failed, name):
    """The verdict pass is upstream's evaluate() on all rows, with its FAIL text in the failed ones."""
    both, reasons = failed
    expected = both.peer_samples(name)["verdicts"]
    for index in _reasons(reasons, name):
        expected[index] = None
    rows = both.assay.samples(name)
    assert {row["sample_id"]: row["score"] for row in rows} == expected


@pytest.mark.parametrize("name", FAILING)
def test_the_prediction_file_is_vlmevalkits_fail_text_included(failed, name):
    """Upstream's files are shown with the score, and kept back where that is withheld."""
    both, _ = failed
    file = f"{both.assay.key}_{name}.xlsx"
    if not both.assay.task(name)["metrics"]:
        assert both.assay.files(name) == {}
        return
    expected = content(both.peer_files(name)[file])
    assert content(both.assay.files(name)[file]) == expected


@pytest.mark.parametrize("name", FAILING)
def test_the_score_is_vlmevalkits_on_the_remaining_rows_or_withheld(failed, name):
    """Withheld where leaving rows out changes the verdict of a row that stays."""
    both, reasons = failed
    samples = both.peer_samples(name)
    gone = _reasons(reasons, name)
    kept = {k: v for k, v in samples["verdicts"].items() if k not in gone}
    if kept != samples["verdicts_of_remaining"]:
        assert both.assay.task(name)["metrics"] == []
        return
    tables = {
        k: p
        for k, p in both.peer_files(name, "remaining").items()
        if p.suffix == ".csv"
    }
    assert tables
    for file, path in tables.items():
        assert content(both.assay.files(name)[file]) == content(path)


def test_leaving_failed_rows_out_does_change_a_verdict_somewhere(failed):
    """Else the case above would never be seen."""
    samples = failed[0].peer_samples("OCRVQA_TESTCORE")
    rest = samples["verdicts_of_remaining"]
    assert any(samples["verdicts"][index] != rest[index] for index in rest)


@pytest.mark.parametrize(
    ("served", "parameters"),
    [
        ("org/My.Model-7B", PARAMETERS | {"img_size": 120, "img_detail": "low"}),
        ("llava-o1", {"system_prompt": 'Be "brief".', "max_tokens": 9, "seed": 3}),
        ("maker:tag/with.dots", {"chat_template_kwargs": {"enable_thinking": False}}),
        ("my-gemini", {"max_tokens": 5, "temperature": 1}),
        ("plain", {"max_file_size": 20000}),
        ("Qwen2.5-VL-3B-Instruct", {"img_size": 300}),
    ],
)
def test_options_shape_the_body_as_vlmevalkit_shapes_it(tmp_path, served, parameters):
    with parity_endpoint() as endpoint:
        made = [awkward_dataset("RealWorldQA")]
        both = run_both(
            tmp_path, endpoint, made, served=served, parameters=parameters, limit=12
        )
        assert both.assay.code == 0, both.assay.said
    sent = endpoint.asked("peer", "RealWorldQA-")
    assert len(sent) == 12
    assert endpoint.asked("assay", "RealWorldQA-") == sent


def test_a_limit_takes_the_rows_and_gives_the_files_vlmevalkit_does(tmp_path):
    name = "Courtyard"
    with parity_endpoint() as endpoint:
        both = run_both(tmp_path, endpoint, [awkward_dataset(name)], limit=25)
    expected = both.peer_files(name)
    actual = both.assay.files(name)
    assert {file: content(path) for file, path in expected.items()} == {
        file: content(path) for file, path in actual.items()
    }
    assert len(both.assay.samples(name)) == 25
