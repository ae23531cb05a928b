"""Figures with unscored rows: groups that fall together, averages of averages, and members of collections."""

from __future__ import annotations

import tarfile

from support import scoring
from support.scoring_runs import FAILED, TABLES, circular, right, scored


def picked(columns, rows):
    """A table of some rows only."""
    return {name: [cells[row] for row in rows] for name, cells in columns.items()}


async def test_a_failed_rotation_takes_its_question_and_no_other(tmp_path):
    answers = right("MMBench_DEV_EN")
    answers[13] = FAILED  # the second rotation of question 3 of 10
    rows, metrics, done = await scored(tmp_path, "MMBench_DEV_EN", answers)
    taken = {row: told[0] for row, told in enumerate(rows) if told[0]}
    group = "group_incomplete"
    assert taken == {3: group, 13: "timeout", 23: group, 33: group}
    assert done["withheld"] == ""
    overall = metrics["dev", "Overall"]
    assert (overall["value"], overall["n"], overall["bounds"]) == (1.0, 9, [0.9, 1.0])
    assert overall["upstream"] == 0.9


async def test_each_rotation_shows_its_own_answer_and_the_figure_counts_questions(
    tmp_path,
):
    answers = right("CCBench")
    answers[20] = "None of these"  # the third rotation of question 0
    answers[31] = "A" if answers[31] != "A" else "B"  # the fourth of question 1
    rows, metrics, _ = await scored(tmp_path, "CCBench", answers)
    assert rows[20][1:3] == [0.0, None]
    assert rows[31][1:3] == [0.0, answers[31]]
    assert sum(row[1] for row in rows) == 38
    assert metrics["dev", "Overall"]["value"] == 0.8
    # Questions 0, 2, 4, ... reason about attributes, which upstream abbreviates.
    assert (metrics["dev", "AR"]["value"], metrics["dev", "AR"]["n"]) == (0.8, 5)


async def test_rotations_without_their_first_are_left_out_as_upstream_does(tmp_path):
    columns = circular(3)
    columns = picked(columns, [11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0])
    answers = list(columns["answer"])
    rows, metrics, done = await scored(
        tmp_path, "CCBench", answers, limit=10, columns=columns
    )
    assert [row[0] for row in rows][-1] is None
    assert [row[0] for row in rows].count("group_incomplete") == 6
    assert done["withheld"] == ""
    assert (metrics["dev", "Overall"]["value"], metrics["dev", "Overall"]["n"]) == (
        1.0,
        1,
    )


async def test_an_average_over_tasks_is_withheld_where_one_of_them_is_empty(tmp_path):
    answers = right("MMT-Bench_VAL")
    answers[0] = answers[2] = FAILED  # all rows of "visual_recognition 0"
    _, metrics, done = await scored(tmp_path, "MMT-Bench_VAL", answers)
    assert done["withheld"] == ""
    assert metrics["ALL", "VR"]["value"] is None
    assert metrics["ALL", "visual_recognition 0"]["value"] is None
    assert metrics["ALL", "visual_recognition 1"]["value"] == 1.0
    assert metrics["ALL", "Loc"]["value"] == 1.0
    assert (metrics["ALL", "Loc"]["n"], metrics["ALL", "Loc"]["bounds"]) == (4, None)
    assert metrics["ALL", "Overall"]["n"] == len(answers) - 2
    assert metrics["VAL", "Overall"]["n"] == len(answers) // 2 - 1


async def test_a_kind_of_task_without_rows_takes_the_table_of_mmt_bench(tmp_path):
    answers = right("MMT-Bench_VAL")
    answers[:4] = [FAILED] * 4
    rows, metrics, done = await scored(tmp_path, "MMT-Bench_VAL", answers)
    assert metrics == {}
    assert "of 1 no row is scored: visual_recognition" in done["withheld"]
    assert rows[4][1] == 1.0


async def test_a_limit_that_mmt_bench_cannot_take_names_the_cure(tmp_path):
    rows, metrics, done = await scored(
        tmp_path, "MMT-Bench_VAL", right("MMT-Bench_VAL"), limit=9
    )
    assert [row[1] for row in rows] == [1.0] * 9
    assert metrics == {}
    assert "run it without `limit`" in done["withheld"]


async def test_an_open_question_shows_texts_where_upstream_chooses_letters(tmp_path):
    answers = right("MMMU_DEV_VAL")
    answers[7] = "Other Answers"
    rows, metrics, _ = await scored(tmp_path, "MMMU_DEV_VAL", answers)
    assert rows[3][1:4] == [1.0, "12.5", "12.5"]
    assert rows[7][1:4] == [0.0, "Other Answers", "cat"]
    assert rows[4][1:4] == [1.0, "A", "A"]
    assert metrics["dev", "Overall"]["value"] == 1.0
    assert metrics["validation", "Overall"]["n"] == 12


async def test_a_failed_rotation_in_a_collection_takes_its_question_in_its_member(
    tmp_path,
):
    answers = right("MTL_MMBench_DEV")
    answers[16 + 5] = FAILED  # question 1 of the second member of six, 16 rows each
    rows, metrics, _ = await scored(tmp_path, "MTL_MMBench_DEV", answers)
    taken = [row for row, told in enumerate(rows) if told[0]]
    assert taken == [17, 21, 25, 29]
    assert metrics["MMBench_dev_cn:dev", "Overall"]["n"] == 3
    assert metrics["MMBench_dev_ar:dev", "Overall"]["n"] == 4
    assert metrics["MMBench_dev_cn:dev", "Overall"]["upstream"] == 0.75
    assert rows[16][4].startswith("MMBench_dev_cn:kind")


async def test_a_member_without_rows_has_no_figure_and_the_others_do(tmp_path):
    _, metrics, done = await scored(tmp_path, "MMMB", right("MMMB"), limit=12)
    assert done["withheld"] == ""
    empty = metrics["MMMB_tr", "Overall"]
    assert (empty["value"], empty["n"], empty["upstream"]) == (None, 0, None)
    assert metrics["MMMB_ar:dev", "Overall"]["value"] == 1.0
    assert metrics["MMMB_cn:test", "Overall"]["n"] == 2


async def test_upstream_breaks_on_a_member_of_rotations_without_rows(tmp_path):
    name = "MTL_MMBench_DEV"
    rows, metrics, done = await scored(tmp_path, name, right(name), limit=20)
    assert [row[1] for row in rows[:16]] == [1.0] * 16
    assert metrics == {}
    assert "run it without `limit`" in done["withheld"]


async def test_a_members_rows_that_all_failed_take_its_figures_alone(tmp_path):
    answers = right("MMMB")
    answers[:8] = [FAILED] * 8
    _, metrics, _ = await scored(tmp_path, "MMMB", answers)
    lost = {split for (split, _), told in metrics.items() if told["value"] is None}
    assert lost == {"MMMB_ar:dev", "MMMB_ar:test"}
    assert metrics["MMMB_ar:dev", "Overall"]["bounds"] == [0.0, 1.0]


async def test_a_collection_that_is_not_its_members_is_refused(tmp_path):
    folder = tmp_path / "a"
    scoring.layout(folder, "MMMB", TABLES["MMMB"], right("MMMB"))
    evil = folder / "lmu" / "evil.tsv"
    evil.write_text("index\n1\n")
    with tarfile.open(folder / "lmu" / "MMMB.tsv", "w") as archive:
        archive.add(evil, "../predictions.jsonl")
    lines = []
    await scoring.run_child(folder, "MMMB", lines)
    last = lines[-1]
    assert (
        "holds ../predictions.jsonl instead of MMMB_ar.tsv" in last["error"]["message"]
    )
