"""The promise: what Assay sends, keeps and scores is what real VLMEvalKit does, sample by sample."""

import sys

import pytest

from support.awkward_tsvs import awkward_dataset
from support.parity import Both, content, run_both
from support.parity_endpoint import parity_endpoint

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.peer,
    pytest.mark.timeout(600),
]

FAMILIES = {
    "SEEDBench_IMG": "multiple choice",
    "Courtyard": "custom multiple choice, splits",
    "POPE": "yes/no",
    "MME": "yes/no pairs, JPEG paths",
    "HallusionBench": "yes/no groups, text index",
    "ChartQA_TEST": "VQA, numbers only",
    "TextVQA_VAL": "VQA, ten answers",
    "DocVQA_VAL": "VQA, edit distance",
}


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parity")
    with parity_endpoint() as endpoint:
        made = [awkward_dataset(name) for name in FAMILIES]
        result = run_both(folder, endpoint, made)
        assert result.assay.code == 0, result.assay.said
        yield result


@pytest.mark.parametrize("name", FAMILIES)
def test_bodies_and_picture_bytes_are_what_vlmevalkit_sends(both: Both, name):
    """Bodies are compared as JSON, pictures by the sha256 of their bytes."""
    expected = both.endpoint.asked("peer", f"{name}-")
    assert expected
    assert both.endpoint.asked("assay", f"{name}-") == expected


@pytest.mark.parametrize("name", FAMILIES)
def test_predictions_are_vlmevalkits_before_the_spreadsheet(both: Both, name):
    expected = both.peer_samples(name)["predictions"]
    rows = both.assay.samples(name)
    assert {row["sample_id"]: row["prediction"] for row in rows} == expected


@pytest.mark.parametrize("name", FAMILIES)
def test_every_verdict_is_the_one_in_vlmevalkits_result_file(both: Both, name):
    expected = both.peer_samples(name)["verdicts"]
    rows = both.assay.samples(name)
    assert {row["sample_id"]: row["score"] for row in rows} == expected


@pytest.mark.parametrize("name", FAMILIES)
def test_upstreams_files_have_the_content_vlmevalkit_gives_them(both: Both, name):
    """Every file upstream leaves, but for its pickles: predictions, verdicts and score tables."""
    expected = both.peer_files(name)
    actual = both.assay.files(name)
    assert sorted(expected) == sorted(actual)
    for file, path in expected.items():
        assert content(path) == content(actual[file]), file


@pytest.mark.parametrize("name", FAMILIES)
def test_parity_is_told_family_by_family(both: Both, name, capsys):
    """One line a family for whoever reads the output of the tests."""
    sent = both.endpoint.asked("assay", f"{name}-")
    verdicts = both.peer_samples(name)["verdicts"]
    rows = {row["sample_id"]: row["score"] for row in both.assay.samples(name)}
    equal = sum(rows.get(index) == score for index, score in verdicts.items())
    with capsys.disabled():
        sys.stdout.write(
            f"\nparity {name} ({FAMILIES[name]}): {len(sent)} requests,"
            f" {equal}/{len(verdicts)} verdicts equal,"
            f" {len(both.assay.files(name))} files\n"
        )
    assert equal == len(verdicts)


def test_each_row_is_asked_once_when_nothing_fails(both: Both):
    assert both.endpoint.requests["peer"] == both.endpoint.requests["assay"]
