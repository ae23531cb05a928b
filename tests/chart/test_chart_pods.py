"""Pods as a platform team wants them: restricted, narrow, labelled, and told what they can read."""

import json

import pytest

from assay.controller.pods import platform_of
from assay.process.configs import (
    AggregatorConfig,
    CheckupConfig,
    ControllerConfig,
    DatasetConfig,
)
from assay.rpc.callers import Role
from support.charts import named, pods, rendered

CONFIGS = [("aggregator", AggregatorConfig), ("dataset", DatasetConfig)]


@pytest.mark.parametrize(("part", "model"), CONFIGS)
def test_the_config_of_a_service_is_one_that_it_reads(platform, part, model):
    text = named(rendered(platform), "ConfigMap", part)["data"]["config.json"]
    config = model.model_validate_json(text)
    assert {Role(name) for name in config.callers.accounts} == set(Role)
    assert config.store.prefix == "space/demo"
    assert config.store.endpoint == "demo-assay-minio.space.svc:9000"


def controller_config(values):
    text = named(rendered(values), "ConfigMap", "controller")["data"]["config.json"]
    return ControllerConfig.model_validate_json(text)


def test_the_controllers_config_says_all_that_its_pods_need(platform):
    images = {"registry": "r.example", "pullSecrets": ["mine"]}
    config = controller_config({**platform, "images": images})
    told = platform_of(config, scoring="10.0.0.1:8443", version="1")
    assert told.images.worker.startswith("r.example/assay/worker:")
    assert told.images.pull_secrets == ["mine"]
    assert told.accounts[Role.INFER] == "demo-assay-infer"
    assert (told.tls_secret, config.lease) == (
        "demo-assay-tls",
        "demo-assay-controller",
    )
    assert config.store == "http://demo-assay-minio.space.svc:9000/assay/space/demo"


def test_what_helm_tests_runs_is_told_where_everything_is(evaluation):
    objects = rendered(evaluation)
    text = named(objects, "ConfigMap", "checkup")["data"]["config.json"]
    config = CheckupConfig.model_validate_json(text)
    assert config.aggregator == "demo-assay-aggregator.space.svc:8443"
    pod = named(objects, "Pod", "checkup")["spec"]
    assert pod["serviceAccountName"] == "demo-assay-cli"
    (container,) = pod["containers"]
    mounts = tuple(m["mountPath"] for m in container["volumeMounts"])
    files = [v for v in _leaves(json.loads(text)) if str(v).startswith("/")]
    assert len(files) == 3
    assert [f for f in files if not f.startswith(mounts)] == []


def test_who_installs_its_own_certificates_has_pods_mount_them(platform):
    config = controller_config({**platform, "tls": {"existingSecret": "mine"}})
    assert config.tls_secret == "mine"


@pytest.mark.parametrize(
    ("part", "model"), [*CONFIGS, ("controller", ControllerConfig)]
)
def test_every_file_that_a_config_names_is_mounted(platform, part, model):
    objects = rendered(platform)
    text = named(objects, "ConfigMap", part)["data"]["config.json"]
    assert model.model_validate_json(text)
    (container,) = pods(objects)[f"demo-assay-{part}"]["containers"]
    mounts = tuple(m["mountPath"] for m in container["volumeMounts"])
    files = [v for v in _leaves(json.loads(text)) if str(v).startswith("/")]
    assert files
    assert [f for f in files if not f.startswith(mounts)] == []


def _leaves(value):
    if isinstance(value, dict):
        for each in value.values():
            yield from _leaves(each)
    else:
        yield value


def test_every_pod_is_restricted_with_a_read_only_root(evaluation):
    for name, pod in pods(rendered(evaluation)).items():
        security = pod["securityContext"]
        assert security["runAsNonRoot"] is True, name
        assert security["runAsUser"] >= 10000, name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for container in pod["containers"]:
            own = container["securityContext"]
            assert own["allowPrivilegeEscalation"] is False, name
            assert own["readOnlyRootFilesystem"] is True, name
            assert own["capabilities"] == {"drop": ["ALL"]}, name


def test_every_container_has_probes_and_bounds(evaluation):
    for name, pod in pods(rendered(evaluation)).items():
        for container in pod["containers"]:
            probes = {"startupProbe", "readinessProbe", "livenessProbe"}
            assert probes <= set(container), name
            assert container["resources"]["requests"], name
            assert container["resources"]["limits"]["memory"], name


def test_only_the_controller_finds_a_token_where_clients_look_for_it(evaluation):
    place = "/var/run/secrets/kubernetes.io/serviceaccount"
    found = []
    for name, pod in pods(rendered(evaluation)).items():
        assert pod["automountServiceAccountToken"] is False
        mounts = pod["containers"][0]["volumeMounts"]
        found += [name for mount in mounts if mount["mountPath"] == place]
    assert found == ["demo-assay-controller"]


def test_rights_are_of_the_namespace_and_touch_no_secrets(evaluation):
    objects = rendered(evaluation)
    assert not [o for o in objects if o["kind"].startswith("ClusterRole")]
    for role in [o for o in objects if o["kind"] == "Role"]:
        for rule in role["rules"]:
            assert "secrets" not in rule["resources"]
            assert "pods/exec" not in rule["resources"]
            assert "*" not in rule["verbs"] + rule["resources"] + rule["apiGroups"]


def test_everything_carries_the_six_labels_and_its_namespace(evaluation):
    wanted = {"name", "instance", "component", "version", "part-of", "managed-by"}
    for each in rendered(evaluation):
        labels = each["metadata"]["labels"]
        assert {f"app.kubernetes.io/{word}" for word in wanted} <= set(labels)
        assert each["metadata"]["namespace"] == "space", each["kind"]


def test_selectors_hold_only_what_never_changes(evaluation):
    for each in rendered(evaluation):
        if each["kind"] in {"Deployment", "StatefulSet"}:
            assert set(each["spec"]["selector"]["matchLabels"]) == {
                "app.kubernetes.io/name",
                "app.kubernetes.io/instance",
                "app.kubernetes.io/component",
            }


def test_two_releases_share_no_name_but_that_of_the_definition(evaluation):
    def names(release):
        objects = rendered(evaluation, release=release)
        return {(o["kind"], o["metadata"]["name"]) for o in objects}

    assert not names("one") & names("two")


def test_a_digest_wins_over_a_tag_and_a_registry_stands_in_front(platform):
    digest = f"sha256:{'a' * 64}"
    images = {"registry": "r.example/x", "control": {"tag": "1", "digest": digest}}
    pod = pods(rendered({**platform, "images": images}))["demo-assay-dataset"]
    assert pod["containers"][0]["image"] == f"r.example/x/assay/control@{digest}"


def test_a_foreign_store_is_reached_with_its_secret_and_authority():
    store = {"endpoint": "s3.example", "existingSecret": "keys", "caSecret": "ca"}
    objects = rendered({"store": store})
    config = named(objects, "ConfigMap", "aggregator")["data"]["config.json"]
    told = json.loads(config)["store"]
    assert (told["secure"], told["create_bucket"]) == (True, False)
    assert told["ca_file"] == "/etc/assay-store-ca/ca.crt"
    volumes = pods(objects)["demo-assay-aggregator"]["volumes"]
    secrets = [v["secret"]["secretName"] for v in volumes if "secret" in v]
    assert secrets == ["demo-assay-tls", "keys", "ca"]
    assert not [o for o in objects if "minio" in o["metadata"]["name"]]
    assert controller_config({"store": store}).store_ca_secret == "ca"


def test_a_scorer_reaches_the_aggregator_alone(evaluation):
    policy = named(rendered(evaluation), "NetworkPolicy", "-scorer")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    (rule,) = policy["egress"]
    (to,) = rule["to"]
    component = to["podSelector"]["matchLabels"]["app.kubernetes.io/component"]
    assert component == "aggregator"
    assert rule["ports"] == [{"port": 8443}]


def test_a_budget_for_disruptions_stands_where_one_pod_can_go(platform):
    several = {**platform, "controller": {"replicas": 2}}
    budget = named(rendered(several), "PodDisruptionBudget")
    assert budget["metadata"]["name"] == "demo-assay-controller"
    assert not [o for o in rendered(platform) if o["kind"] == "PodDisruptionBudget"]
