"""`report.html` as a file: what stands in it, and that nothing from outside can be more than text."""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64encode

import pyarrow.parquet as pq
import pytest

from assay.domain.errors import CorruptError, NotFoundError
from assay.report.build import report_json
from assay.report.html import render_html
from assay.report.html_samples import SampleTable, Shown, embed, read_samples
from assay.report.html_view import task_view
from support.html_runs import HOSTILE, SAID, run_folder
from support.reports import a_report

DATA = re.compile(
    r'<script type="application/json" id="rows-\d+">(.*?)</script>', re.DOTALL
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return run_folder(tmp_path_factory.mktemp("run"), 300)


@pytest.fixture(scope="module")
def page(folder):
    return render_html(folder).html.decode()


class Prompts:
    def shown(self, dataset, digest, sample_ids):
        texts = [f"what is in {dataset} {n}?" for n in sample_ids]
        return Shown(texts, [()] * len(texts))


def test_a_task_shows_score_scale_n_coverage_bounds_and_reasons(page):
    text = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    for expected in (
        "0.667 of 1",
        "N = 288",
        "between 0.640 and 0.680",
        "288 of 300",
        "96.0%",
        "request_rejected 3",
        "Score withheld: coverage 0.950 is below 1.000",
        "mine.tsv has no column [31manswer at all",
    ):
        assert expected in text


def test_no_bounds_are_claimed_for_a_figure_that_is_no_mean(folder, tmp_path):
    report = json.loads((folder / "report.json").read_bytes())
    for task in report["tasks"][:2]:
        task["metrics"][0]["value"] += 0.01
        task["samples"] = ""
        task["metrics"].append({**task["metrics"][0], "name": "precision"})
    (tmp_path / "report.json").write_text(json.dumps(report))
    assert "with the unscored as all wrong" not in render_html(tmp_path).html.decode()


def test_the_page_says_bounds_and_upstreams_figure_as_the_scorer_found_them(
    folder, tmp_path
):
    report = json.loads((folder / "report.json").read_bytes())
    for task in report["tasks"]:
        task["samples"] = ""
    told = {"bounds": [0.1, 0.9], "upstream_value": 0.42}
    report["tasks"][0]["metrics"][0].update(told)
    report["tasks"][1]["metrics"][0]["upstream_reason"] = "a judge would be asked"
    (tmp_path / "report.json").write_text(json.dumps(report))
    text = render_html(tmp_path).html.decode()
    for expected in (
        "between 0.100 and 0.900",
        "VLMEvalKit would print: 0.420",
        "VLMEvalKit would print: not known: a judge would be asked",
    ):
        assert expected in text


def test_no_share_is_shown_where_the_score_is_withheld(folder):
    report = json.loads((folder / "report.json").read_bytes())
    table = read_samples(folder, report["tasks"][0]["samples"])
    task = {**report["tasks"][0], "metrics": [], "withheld": "too few"}
    assert {c.right for c in task_view(0, task, table).categories} == {""}


def test_answers_that_nobody_judged_are_neither_right_nor_wrong():
    columns = {"state": ["PREDICTED"], "score": [None], "category": [None]}
    table = SampleTable(columns, "n")
    task = json.loads(report_json(a_report()))["tasks"][0]
    assert [s.kind for s in task_view(0, task, table).slices] == ["unjudged"]


def test_every_prediction_comes_back_from_the_page_as_it_was(page):
    document = json.loads(DATA.findall(page)[0])
    found = [document["prediction"][ordinal] for ordinal in range(5, 54, 9)]
    assert list(HOSTILE) == found


def test_text_from_outside_ends_no_script_and_opens_no_element(page):
    assert len(re.findall(r"<script\b", page)) == 4  # index, two tables, ours
    assert len(re.findall(r"</script", page)) == 4
    assert "<img" not in page
    assert "\x00" not in page


def test_the_policy_names_style_and_script_by_their_digests(page):
    policy = re.search(r'Security-Policy" content="(.*?)"', page)[1].replace(
        "&#39;", "'"
    )
    for tag in ("style", "script"):
        text = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)[-1]
        digest = b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy


def test_the_page_names_no_address_that_would_be_loaded(page):
    head = DATA.sub("", page)
    assert re.findall(r'\b(?:src|href)="(?!#|data:,)', head) == []
    assert " style=" not in head


def test_equal_folders_give_equal_pages(folder, page):
    assert page == render_html(folder).html.decode()


def test_prompts_stand_beside_their_samples_where_they_are_known(folder):
    document = json.loads(DATA.findall(render_html(folder, Prompts()).html.decode())[0])
    assert document["prompt"][7] == "what is in MMStar 7?"


def test_what_was_said_about_samples_without_an_answer_stands_beside_them(page):
    document = json.loads(DATA.findall(page)[0])
    said = dict(zip(document["verdicts"], document["failure"], strict=True))
    assert said == {"u": SAID, "r": None, "w": None}


@pytest.mark.parametrize("columns", [(), ("sample_id", "attempts")])
def test_a_run_whose_timing_tables_do_not_say_it_has_a_page(tmp_path, columns):
    folder = run_folder(tmp_path, 30)
    for table in folder.rglob("*.timing.parquet"):
        older = pq.read_table(table, columns=list(columns))
        table.unlink()
        if columns:
            pq.write_table(older, table)
    (first, _) = DATA.findall(render_html(folder).html.decode())
    assert "failure" not in json.loads(first)


def test_a_timing_table_of_other_samples_is_named(tmp_path):
    folder = run_folder(tmp_path, 30)
    table = folder / "samples/My_Model/MMStar.timing.parquet"
    pq.write_table(pq.read_table(table).slice(1), table)
    with pytest.raises(CorruptError, match=r"timing\.parquet: it is of other samples"):
        render_html(folder)


def test_long_texts_are_cut_until_they_fit_and_say_how_long_they_were(folder):
    table = read_samples(folder, "samples/My_Model/MMStar.parquet")
    embedded = embed([table], budget=60_000)
    assert sum(map(len, embedded.documents)) <= 60_000
    assert embedded.cut < 40_000
    cut = json.loads(embedded.documents[0])["prediction"][50]
    assert cut == ["A" * embedded.cut, 40_000]


def test_rows_are_left_out_only_where_no_cut_helps(folder):
    table = read_samples(folder, "samples/My_Model/MMStar.parquet")
    embedded = embed([table], budget=5_000)
    rows = len(json.loads(embedded.documents[0])["verdicts"])
    assert rows == embedded.rows
    assert 0 < rows < 300


def test_a_table_outside_the_folder_is_not_read(folder, tmp_path):
    report = json.loads((folder / "report.json").read_bytes())
    report["tasks"][0]["samples"] = "../" * 20 + "etc/passwd"
    (tmp_path / "report.json").write_text(json.dumps(report))
    with pytest.raises(CorruptError, match="outside the run's folder"):
        render_html(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"tasks": [7]}'])
def test_a_report_that_is_none_is_said_by_the_page(tmp_path, content):
    (tmp_path / "report.json").write_text(content)
    with pytest.raises(CorruptError, match="cannot read"):
        render_html(tmp_path)


def test_a_folder_without_report_is_no_run_that_ended(tmp_path):
    with pytest.raises(NotFoundError, match=r"report\.json"):
        render_html(tmp_path)


def test_a_table_that_is_gone_or_broken_is_named(folder, tmp_path):
    (tmp_path / "report.json").write_bytes((folder / "report.json").read_bytes())
    with pytest.raises(CorruptError, match=r"MMStar\.parquet"):
        render_html(tmp_path)
    (tmp_path / "samples/My_Model").mkdir(parents=True)
    (tmp_path / "samples/My_Model/MMStar.parquet").write_bytes(b"PAR1 not")
    with pytest.raises(CorruptError, match=r"MMStar\.parquet"):
        render_html(tmp_path)
