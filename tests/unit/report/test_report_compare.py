"""`assay compare`: differences, what cannot be compared, settings, and what is refused."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from assay.cli.main import app
from support.compared_runs import scored_run
from support.html_runs import run_folder
from support.reports import metric

A = [1.0, 1.0, 0.0, 0.0, 1.0, None, 0.5, 0.0]
B = [1.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.5, None]


def invoke(*arguments, columns="120"):
    command = ["compare", *map(str, arguments)]
    return CliRunner().invoke(app, command, env={"COLUMNS": columns})


def compared(*arguments):
    done = invoke(*arguments, "--json")
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def runs(tmp_path):
    return scored_run(tmp_path / "A", A), scored_run(tmp_path / "B", B)


def test_a_figure_is_compared_over_the_samples_that_both_have_a_verdict_for(runs):
    (pair,) = compared(*runs)["pairs"]
    (dataset,) = pair["datasets"]
    overall = dataset["metrics"][0]
    assert overall["a"] == pytest.approx(3.5 / 7)
    assert overall["difference"] == pytest.approx(4.5 / 7 - 3.5 / 7)
    paired = overall["paired"]
    assert (paired["n"], paired["difference"]) == (6, pytest.approx(0.0))
    assert paired["low"] == pytest.approx(-paired["high"])
    assert dataset["samples"]["compared"] == 6


def test_samples_that_cannot_be_compared_are_counted_with_their_reason(runs, tmp_path):
    (dataset,) = compared(*runs)["pairs"][0]["datasets"]
    expected = {"without a verdict in A": 1, "without a verdict in B": 1}
    assert dataset["samples"]["not_comparable"] == expected
    fewer = scored_run(tmp_path / "C", [*B[:4], None], first_id=1)
    (dataset,) = compared(runs[0], fewer)["pairs"][0]["datasets"]
    assert dataset["samples"]["not_comparable"] == {
        "only in A": 3,
        "without a verdict in both": 1,
    }


def test_agreement_counts_who_is_right_and_equal_predictions(runs):
    found = compared(*runs)["pairs"][0]["datasets"][0]["agreement"]
    wanted = {"both_right": 2, "neither": 2, "only_a": 1, "only_b": 1, "p_value": 1.0}
    assert {key: found[key] for key in wanted} == wanted
    assert (found["higher_a"], found["higher_b"]) == (1, 1)
    assert found["same_prediction"] == 4
    assert found["mean_score"]["paired"]["n"] == 6


def test_a_figure_named_after_a_category_is_paired_over_its_samples(tmp_path):
    runs = []
    for name, scores in (("A", [1.0, 0.0, 1.0, 1.0]), ("B", [1.0, 1.0, 0.0, 1.0])):
        mean = sum(scores[::2]) / 2
        figures = (metric("a", 100 * mean, scale=(0.0, 100.0), n=0),)
        runs.append(scored_run(tmp_path / name, scores, metrics=figures))
    (figure,) = compared(*runs)["pairs"][0]["datasets"][0]["metrics"]
    assert (figure["difference"], figure["paired"]["difference"]) == (-50.0, -50.0)
    assert figure["paired"]["n"] == 2


def test_a_share_of_a_split_that_is_a_category_is_paired_over_its_samples(tmp_path):
    runs = []
    for name, scores in (("A", [1.0, 0.0, 0.0, 0.0]), ("B", [1.0, 1.0, 1.0, 1.0])):
        figures = (metric("acc", sum(scores[::2]) / 2, split="a", n=0),)
        runs.append(scored_run(tmp_path / name, scores, metrics=figures))
    (figure,) = compared(*runs)["pairs"][0]["datasets"][0]["metrics"]
    assert (figure["paired"]["n"], figure["paired"]["difference"]) == (2, 0.5)


def test_a_figure_that_is_no_mean_of_samples_has_no_interval(tmp_path):
    figures = (metric("Overall", 0.9), metric("precision", 0.5))
    runs = [
        scored_run(tmp_path / name, scores, metrics=figures)
        for name, scores in (("A", A), ("B", B))
    ]
    found = compared(*runs)["pairs"][0]["datasets"][0]["metrics"]
    assert [figure["paired"] for figure in found] == [None, None]


def test_samples_of_another_dataset_are_not_compared(runs, tmp_path):
    other = scored_run(tmp_path / "C", B, source_digest="e" * 64)
    (dataset,) = compared(runs[0], other)["pairs"][0]["datasets"]
    assert dataset["samples"] == {
        "compared": 0,
        "not_comparable": {"another dataset": 8},
    }
    assert (dataset["agreement"], dataset["metrics"][0]["paired"]) == (None, None)
    assert dataset["metrics"][0]["difference"] is not None


def test_settings_that_differ_are_listed_and_no_others(runs, tmp_path):
    assert compared(*runs)["pairs"][0]["settings"] == []
    path = runs[1] / "report.json"
    report = json.loads(path.read_bytes())
    report["provenance"]["models"]["My_Model"]["decoding"]["temperature"] = 0.5
    report["provenance"]["versions"]["Pillow"] = "12"
    report["settings"]["limit"] = None
    path.write_text(json.dumps(report))
    found = compared(*runs)["pairs"][0]["settings"]
    assert [(s["of"], s["name"], s["a"], s["b"]) for s in found] == [
        ("run", "limit", "60", "not set"),
        ("versions", "Pillow", "13.0.0", "12"),
        ("model", "decoding · temperature", "0.0", "0.5"),
    ]


def test_two_models_of_one_run_are_compared_by_name(tmp_path):
    folder = run_folder(tmp_path, 300)
    (pair,) = compared(folder, "--models", "My_Model", "My_Model-2")["pairs"]
    assert pair["a"]["model"] == "My_Model"
    assert pair["only_a"] == ["mine"]
    (dataset,) = pair["datasets"]
    assert dataset["samples"]["not_comparable"] == {"without a verdict in both": 12}
    assert dataset["metrics"][0]["paired"]["high"] < 0


def test_the_only_models_of_two_runs_are_compared_whatever_their_names(runs, tmp_path):
    other = scored_run(tmp_path / "C", B, model="Other")
    (pair,) = compared(runs[0], other)["pairs"]
    assert (pair["a"]["model"], pair["b"]["model"]) == ("My_Model", "Other")


def test_the_table_says_figures_interval_agreement_and_settings(runs):
    text = " ".join(invoke(*runs).stdout.split())
    for expected in (
        "A: My_Model of run A (nightly)",
        "MMStar Overall 0.500 0.643 +0.143",
        "6 samples compared; not comparable: without a verdict in A 1,",
        "right: both 2, only A 1, only B 1, neither 2; McNemar p = 1.000",
        "settings: all equal",
        "Miller 2024, arXiv:2411.00640",
    ):
        assert expected in text


LONG = "MMBench_DEV_EN_V11_of_our_own_with_a_long_name"


def test_names_of_datasets_and_figures_are_whole_in_a_narrow_terminal(tmp_path):
    figures = (metric("finegrained_perception (instance-level)", 0.5),)
    runs = [
        scored_run(tmp_path / name, A, metrics=figures, dataset=LONG) for name in "AB"
    ]
    done = invoke(*runs, columns="80")
    assert LONG in done.stdout
    text = " ".join(done.stdout.split())
    assert f"{LONG} finegrained_perception (instance-level) A 0.500, B 0.500," in text
    assert all(len(line) <= 80 for line in done.stdout.splitlines())


def test_control_characters_and_markup_of_others_are_not_printed(runs):
    path = runs[1] / "report.json"
    hostile = json.dumps("[red]x[/red]\x1b]0;title\x07")
    path.write_text(path.read_text().replace('"nightly"', hostile))
    done = invoke(*runs)
    assert "\x1b" not in done.stdout
    assert "[red]x[/red]" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "name a second run"),
        (["--models", "My_Model", "Typo"], "Typo is no model of that run"),
    ],
)
def test_what_cannot_be_compared_is_bad_usage(runs, arguments, why):
    done = invoke(runs[0], *arguments)
    assert done.exit_code == 2
    assert why in " ".join(done.stderr.replace("│", " ").split())


def test_runs_without_a_model_in_common_ask_for_names(tmp_path):
    first = run_folder(tmp_path / "first", 30)
    other = scored_run(tmp_path / "C", B, model="Other")
    done = invoke(first, other)
    assert done.exit_code == 2
    assert "no model in common" in " ".join(done.stderr.replace("│", " ").split())


def test_a_folder_without_a_report_is_named(runs, tmp_path):
    done = invoke(runs[0], tmp_path / "missing")
    assert done.exit_code == 2
    assert "missing/report.json" in done.stderr
