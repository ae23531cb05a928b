"""docs/values.md says what the chart's models say, every key of them."""

from pathlib import Path

import yaml

from assay.config.chart import values_schema
from assay.config.file import EvalFile
from assay.config.values_reference import reference

REPOSITORY = Path(__file__).parents[3]
VALUES = yaml.safe_load((REPOSITORY / "charts/assay/values.yaml").read_text("utf-8"))
PAGE = reference(VALUES)


def test_the_page_is_what_the_models_say():
    """`python -m assay.config.values_reference charts/assay/values.yaml > docs/values.md` mends it."""
    assert (REPOSITORY / "docs/values.md").read_text("utf-8") == PAGE


def test_every_key_of_the_platform_is_on_the_page():
    ours = set(values_schema()["properties"]) - set(EvalFile.model_fields) - {"global"}
    assert [key for key in sorted(ours) if f"| `{key}" not in PAGE] == []


def test_every_default_is_shown_and_every_key_explained():
    rows = [line for line in PAGE.splitlines() if line.startswith("| `")]
    assert [row for row in rows if row.endswith("|  |")] == []
    assert "| `store.bucket` | text | `assay` |" in PAGE


def test_values_yaml_names_every_key_that_has_no_default_of_its_own():
    missing = [row for row in PAGE.splitlines() if "| required |" in row]
    assert all("serving" in row for row in missing), missing
