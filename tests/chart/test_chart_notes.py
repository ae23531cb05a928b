"""What is said after an installation: the next commands, and what somebody should know."""

import shlex

import pytest
from typer.main import get_command

from assay.cli.main import app
from support import charts
from support.chart_values import EVERY, keyless


@pytest.fixture
def notes(tmp_path):
    return lambda values: charts.notes(values, tmp_path)


def commands(text, program):
    """The command lines of a program that stand in it."""
    found = [
        line[line.index(program) :] for line in text.splitlines() if program in line
    ]
    return [shlex.split(line) for line in found if "`" not in line]


def test_the_next_commands_name_the_run_and_the_namespace(evaluation, notes):
    said = notes(evaluation)
    assert "wait evalrun/demo --for=condition=Complete" in said
    assert "assay wait demo -n space" in said
    assert "helm test demo -n space" in said


@pytest.mark.parametrize("name", ["an evaluation", "the platform alone"])
def test_every_assay_command_that_is_named_exists_with_its_options(name, notes):
    told = [words for words in commands(notes(EVERY[name]), "assay ") if words[1:]]
    known = get_command(app).commands
    named = [words for words in told if words[1] in known]
    assert named
    for _, command, *rest in named:
        known[command].make_context(command, list(rest)).close()


def test_keys_in_the_file_are_said_to_stand_in_helms_record(evaluation, notes):
    said = notes(evaluation)
    assert "Helm's record" in said
    assert "judge, model.0 and name it with existingSecret" in said
    assert "Helm's record" not in notes(keyless())


def test_a_secret_of_ones_own_is_told_which_keys_it_needs(notes):
    said = notes(EVERY["secrets of one's own"])
    assert "Secret keys has these keys" in said
    assert "\njudge, model.0\n" in said


def test_the_demo_store_is_said_to_be_none_for_production(platform, notes):
    assert "NOT FOR PRODUCTION" in notes(platform)
    assert "NOT FOR PRODUCTION" not in notes(EVERY["a store elsewhere"])
