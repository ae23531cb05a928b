"""Pods of Jobs trust a store whose certificate a private authority signed."""

import json
from dataclasses import replace

import pytest

from assay.controller import jobs
from support import controlled


@pytest.fixture
def private(monkeypatch):
    """A platform with such a store."""
    platform = replace(controlled.PLATFORM, store_ca_secret="store-ca")
    monkeypatch.setattr(controlled, "PLATFORM", platform)


def mounted(pod):
    return {
        volume["secret"]["secretName"]: volume["name"]
        for volume in pod["volumes"]
        if "secret" in volume
    }


def test_workers_mount_the_authority_of_the_store_and_are_told_of_it(private):
    pod = controlled.pod_of(controlled.workers())["spec"]
    (container,) = pod["containers"]
    told = json.loads(container["env"][0]["value"])["store_ca_file"]
    places = {m["name"]: m["mountPath"] for m in container["volumeMounts"]}
    assert told == f"{places[mounted(pod)['store-ca']]}/ca.crt"
    assert told == str(jobs.STORE_AUTHORITY)


def test_scorers_mount_it_not_since_they_reach_no_store(private):
    pod = controlled.pod_of(controlled.scorer())["spec"]
    assert "store-ca" not in mounted(pod)
