"""`assay models list`: every name with whether an interpreter can build it, and why not."""

import json

import pytest
from typer.testing import CliRunner

from assay.cli.main import app
from support.small_models import small_python


def rows(*words: str) -> dict[str, dict[str, str]]:
    told = CliRunner().invoke(app, ["models", "list", "--json", *words])
    assert told.exit_code == 0, told.output
    return {row["name"]: row for row in json.loads(told.stdout)}


@pytest.fixture
def listed(tmp_path):
    return rows("--python", small_python(tmp_path))


def test_a_name_whose_packages_are_there_can_be_built(listed):
    row = listed["Qwen2-VL-2B-Instruct"]
    assert (row["state"], row["class"]) == ("yes", "Qwen2VLChat")
    assert row["weights"] == "Qwen/Qwen2-VL-2B-Instruct"


def test_a_family_that_needs_another_transformers_says_which(listed):
    row = listed["qwen_chat"]
    assert row["state"] == "no"
    assert row["reason"] == "needs transformers >=4.33,<4.38, and it has 5.23.0"
    assert row["code"] == "comes with weights"


def test_a_client_of_a_service_is_told_apart(listed):
    assert listed["GPT4o"]["state"] == "no"
    assert "CustomAPIModel" in listed["GPT4o"]["reason"]


def test_without_torch_none_can_be_built(tmp_path):
    found = rows("--python", small_python(tmp_path, without="torch"))
    assert {row["state"] for row in found.values()} == {"no"}
    assert found["Qwen2-VL-2B-Instruct"]["reason"] == "it has no torch"


def test_an_interpreter_that_is_none_is_refused_with_the_cure():
    told = CliRunner().invoke(app, ["models", "list", "--python", "/no/python"])
    assert told.exit_code == 2
    assert "make local" in told.output
