"""The definition of EvalRuns says which revision it is, since Helm never changes one that is installed."""

import hashlib
import json

import yaml

from support.charts import CHART, named, rendered

REVISION, DIGEST = "2", "1d62729b863578df"


def test_a_definition_that_was_changed_says_another_revision():
    """When this fails, count assay.dev/revision up and write both here."""
    text = (CHART / "crds" / "evalruns.yaml").read_text()
    definition = yaml.safe_load(text)
    spec = json.dumps(definition["spec"], sort_keys=True).encode()
    annotations = definition["metadata"]["annotations"]
    told = annotations["assay.dev/revision"]
    assert (told, hashlib.sha256(spec).hexdigest()[:16]) == (REVISION, DIGEST)


def test_a_release_says_which_revision_it_needs(platform):
    config = named(rendered(platform), "ConfigMap", "-cli")
    assert config["data"]["definition"] == REVISION


def test_the_command_line_is_told_whom_to_believe_and_nothing_secret(platform):
    objects = rendered(platform)
    told = named(objects, "ConfigMap", "-cli")["data"]
    made = named(objects, "Secret", "-tls")["stringData"]
    assert told["ca.crt"] == made["ca.crt"]
    assert made["tls.key"] not in told.values()
    other = rendered({**platform, "tls": {"existingSecret": "mine"}})
    told = named(other, "ConfigMap", "-cli")["data"]
    assert (told["tls-secret"], "ca.crt" in told) == ("mine", False)
