"""What the pods of a run are on a real node: what they hold, what they may write, and what they cannot do."""

import json

import pytest

from support.cluster_digits import evaluation

LOOK = """\
import json, os, pathlib
def writable(folder):
    try:
        (pathlib.Path(folder) / "x").write_text("x")
    except OSError as error:
        return error.strerror
    return "writable"
print(json.dumps({
    "user": os.getuid(),
    "places": {p: writable(p) for p in ("/", "/opt", "/usr/lib", "/tmp")},
    "secrets": sorted(str(p) for d in ("/var/run/secrets", "/etc/assay-keys", "/etc/assay-store")
                      for p in pathlib.Path(d).rglob("*")),
    "environment": sorted(os.environ),
    "capabilities": [l.split()[1] for l in open("/proc/self/status") if l.startswith("CapEff")][0],
}))
"""


@pytest.fixture(scope="module")
def pods(platform, digits):
    """A worker's and a scorer's pod as the controller made them, of a run that is complete."""
    digits.reset(pace=0.1)
    platform.submit("looked-at", evaluation(digits.base, "Digits40"))
    made = {
        part: platform.until(f"a pod of {part}", lambda p=part: of_run(platform, p))
        for part in ("infer", "scorer")
    }
    platform.wait("looked-at")
    return made


def of_run(platform, part):
    found = [
        p for p in platform.pods(part) if p["metadata"]["name"].startswith("looked-at-")
    ]
    return found[0] if found else None


def seen(platform, pod):
    """What a program sees where the pod's own would run."""
    meta = {"name": f"look-{pod['metadata']['labels']['app.kubernetes.io/component']}"}
    spec = {k: v for k, v in pod["spec"].items() if k != "nodeName"}
    (container,) = spec["containers"]
    spec["containers"] = [container | {"command": ["python", "-c", LOOK], "args": []}]
    kind = {"apiVersion": "v1", "kind": "Pod"}
    platform.namespace.apply({**kind, "metadata": meta, "spec": spec})
    name = f"pod/{meta['name']}"
    phase = "--for=jsonpath={.status.phase}=Succeeded"
    platform.namespace.kubectl("wait", name, phase, "--timeout=60s")
    return json.loads(platform.namespace.kubectl("logs", name))


@pytest.mark.parametrize("part", ["infer", "scorer"])
def test_a_pod_is_nobody_writes_nowhere_and_holds_no_keys_of_the_store(
    pods, platform, part
):
    told = seen(platform, pods[part])
    assert told["user"] == 10001
    assert told["places"].pop("/tmp") == "writable"
    assert set(told["places"].values()) == {"Read-only file system"}
    assert told["secrets"] == []
    assert int(told["capabilities"], 16) == 0
    words = " ".join(told["environment"]).upper()
    assert not any(word in words for word in ("S3", "MINIO", "SECRET", "ACCESS_KEY"))


def test_pods_mount_their_own_token_the_authority_and_a_scratch_folder(pods):
    for part, pod in pods.items():
        kinds = {v["name"]: (set(v) - {"name"}).pop() for v in pod["spec"]["volumes"]}
        assert kinds == {
            "identity": "projected",
            "authority": "secret",
            "scratch": "emptyDir",
        }
        (volume,) = [v for v in pod["spec"]["volumes"] if v["name"] == "identity"]
        (source,) = volume["projected"]["sources"]
        run_id = pod["metadata"]["labels"]["assay.dev/run"]
        assert source["serviceAccountToken"]["audience"] == f"assay/{run_id}/{part}"
        assert pod["spec"]["automountServiceAccountToken"] is False


def test_the_sealed_child_had_all_of_its_seal_in_the_pod(pods, platform, here):
    run_id = platform.run_id("looked-at")
    assert platform.results(run_id) == here.results("Digits40")
    with platform.bucket() as client:
        root = f"{platform.namespace.name}/demo/runs/{run_id}/results/report.json"
        report = json.loads(client.get_object("assay", root).data)
    assert "unsealed" not in json.dumps(report).lower()
