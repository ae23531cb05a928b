"""The promise: what Assay sends, keeps and scores is what real VLMEvalKit does, sample by sample."""

import sys

import pytest

from support.awkward_tsvs import awkward_tables
from support.awkward_words import COCO_SAYINGS
from support.parity import run_both
from support.parity_endpoint import parity_endpoint
from support.parity_families import FAMILIES, GROUPED, UNSCORED
from support.parity_results import Both

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.peer,
    pytest.mark.timeout(600),
]


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parity")
    with parity_endpoint() as endpoint:
        endpoint.untagged, endpoint.untagged_name = COCO_SAYINGS, "COCO_VAL"
        tables = {name: awkward_tables(name) for name in FAMILIES}
        result = run_both(folder, endpoint, tables)
        assert result.assay.code == 0, result.assay.said
        yield result


@pytest.mark.parametrize("name", FAMILIES)
def test_bodies_and_picture_bytes_are_what_vlmevalkit_sends(both: Both, name):
    """Bodies are compared as JSON, pictures by the sha256 of their bytes."""
    expected = both.asked("peer", name)
    assert len(expected) == len(both.peer_predictions(name))
    assert both.asked("assay", name) == expected


@pytest.mark.parametrize("name", FAMILIES)
def test_rows_and_predictions_are_vlmevalkits_in_its_order(both: Both, name):
    """The predictions as they came, before the spreadsheet."""
    assert both.column(name, "prediction") == both.peer_predictions(name)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_verdict_is_vlmevalkits(both: Both, name):
    """As its result file has it; row by row from its own functions where that file speaks of groups."""
    assert dict(both.column(name, "score")) == both.told(name)["verdicts"]


@pytest.mark.parametrize("name", GROUPED)
def test_a_question_is_right_when_all_its_rotations_are(both: Both, name):
    """Which is what upstream's result file says of the question."""
    groups = both.told(name)["groups"]
    rights = both.rotations(name)
    assert groups
    assert {first: float(all(scores)) for first, scores in rights.items()} == groups


@pytest.mark.parametrize("name", FAMILIES)
def test_upstreams_files_have_the_content_vlmevalkit_gives_them(both: Both, name):
    """Every file upstream leaves, but for its pickles: predictions, verdicts and score tables."""
    expected, actual = both.peer_files(name), both.files(name)
    assert sorted(expected) == sorted(actual)
    for file in expected:
        assert expected[file] == actual[file], file


@pytest.mark.parametrize("name", FAMILIES)
def test_every_figure_is_the_one_that_vlmevalkit_returns(both: Both, name):
    assert both.figures(name) == both.peer_figures(name)


@pytest.mark.parametrize("name", UNSCORED)
def test_a_name_without_answers_ends_complete_with_no_score_and_the_reason(
    both: Both, name
):
    task = both.assay.task(name)
    assert (task["state"], task["metrics"]) == ("COMPLETE", [])
    assert task["withheld"]
    assert {row["state"] for row in both.samples(name)} == {"PREDICTED"}


@pytest.mark.parametrize("name", FAMILIES)
def test_parity_is_told_family_by_family(both: Both, name, capsys):
    """One line a family for whoever reads the output of the tests."""
    line, equal = both.line(name)
    with capsys.disabled():
        sys.stdout.write(f"\nparity {name} ({FAMILIES[name]}): {line}\n")
    assert equal


def test_each_row_is_asked_once_when_nothing_fails(both: Both):
    assert both.endpoint.requests["peer"] == both.endpoint.requests["assay"]
