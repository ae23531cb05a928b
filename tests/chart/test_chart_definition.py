"""The definition of EvalRuns says which revision it is, since Helm never changes one that is installed."""

import hashlib
import json

import yaml

from support.charts import CHART

REVISION, DIGEST = "1", "e51ff7c681223fc7"


def test_a_definition_that_was_changed_says_another_revision():
    """When this fails, count assay.dev/revision up and write both here."""
    text = (CHART / "crds" / "evalruns.yaml").read_text()
    definition = yaml.safe_load(text)
    spec = json.dumps(definition["spec"], sort_keys=True).encode()
    annotations = definition["metadata"]["annotations"]
    told = annotations["assay.dev/revision"]
    assert (told, hashlib.sha256(spec).hexdigest()[:16]) == (REVISION, DIGEST)
