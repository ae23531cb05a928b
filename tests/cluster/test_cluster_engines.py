"""An engine beside a worker, on a real node: it is there first, comes back when it ends, holds no pod up."""

import json
import time

import pytest

from support.cluster_images import image
from support.served import served_workers

ENGINE = {
    "engine": "custom",
    "image": image("digits"),
    "gpus": 1,
    "startupSeconds": 60,
    "sharedMemory": "64Mi",
}
WORKER = """\
import json, urllib.request
with urllib.request.urlopen("http://127.0.0.1:8000/v1/models", timeout=20) as answer:
    print([model["id"] for model in json.load(answer)["data"]])
"""
SLEEPING = """\
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
time.sleep(600)
"""


def job_of(code, **serving):
    """The Job that the controller makes, with another program in the worker's place."""
    job = served_workers(ENGINE | serving)
    del job["metadata"]["namespace"], job["metadata"]["ownerReferences"]
    pod = job["spec"]["template"]["spec"]
    (worker,) = pod["containers"]
    worker |= {"image": image("worker"), "command": ["python", "-c"]}
    worker["args"] = [code]
    pod["serviceAccountName"] = "default"
    return job


@pytest.fixture
def started(namespace):
    """Starts such a Job; returns its name."""

    def start(code, **serving):
        authority = {"ca.crt": "none"}
        meta = {"name": "demo-assay-tls"}
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": meta}
        job = job_of(code, **serving)
        namespace.apply({**secret, "stringData": authority}, job)
        return f"job/{job['metadata']['name']}"

    return start


def pods_of(namespace):
    return json.loads(namespace.kubectl("get", "pods", "-o", "json"))["items"]


def test_a_worker_finds_its_engine_answering_and_ends_with_it_still_there(
    namespace, started
):
    job = started(WORKER)
    namespace.kubectl("wait", job, "--for=condition=Complete", "--timeout=60s")
    said = namespace.kubectl("logs", job, "-c", "worker")
    assert said.strip() == "['digits-svm', 'digits-lda']"
    assert "serving http://" in namespace.kubectl("logs", job, "-c", "engine")


def test_an_engine_that_is_killed_comes_back_and_its_worker_stays(namespace, started):
    started(SLEEPING)
    namespace.kubectl("wait", "--for=create", "pod", "-l", "app.kubernetes.io/name")
    (name,) = [pod["metadata"]["name"] for pod in pods_of(namespace)]
    namespace.ready(name)
    kill = "import os, signal; os.kill(1, signal.SIGTERM)"
    namespace.kubectl("exec", name, "-c", "engine", "--", "python", "-c", kill)
    (engine,), until = [{"restartCount": 0}], time.monotonic() + 60
    while not engine["restartCount"] and time.monotonic() < until:
        time.sleep(0.5)
        (pod,) = pods_of(namespace)
        (engine,) = pod["status"]["initContainerStatuses"]
    namespace.ready(name)
    (worker,) = pod["status"]["containerStatuses"]
    assert (engine["restartCount"], worker["restartCount"]) == (1, 0)


def test_a_third_engine_waits_for_one_of_two_gpus_and_rescaling_takes_it_back(
    namespace, started
):
    job = started(SLEEPING)
    seats = json.dumps({"spec": {"completions": 3, "parallelism": 3}})
    namespace.kubectl("patch", job, "--type=merge", "-p", seats)
    until = time.monotonic() + 60
    phases = []
    while phases != ["Pending", "Running", "Running"] and time.monotonic() < until:
        phases = sorted(pod["status"]["phase"] for pod in pods_of(namespace))
        time.sleep(0.5)
    assert phases == ["Pending", "Running", "Running"]
    seats = json.dumps({"spec": {"completions": 1, "parallelism": 1}})
    namespace.kubectl("patch", job, "--type=merge", "-p", seats)
    while len(pods_of(namespace)) > 1 and time.monotonic() < until + 60:
        time.sleep(0.5)
    (pod,) = pods_of(namespace)
    assert pod["status"]["phase"] == "Running"
