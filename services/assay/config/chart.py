"""The chart's values: EvalScope's file at the top level, and the keys of the platform beside it.

`python -m assay.config.chart > charts/assay/values.schema.json` writes the schema that Helm checks values
with; a test compares the two. EvalScope's keys are snake_case as in its file, the platform's camelCase.
"""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from assay.config.file import EvalFile
from assay.config.kinds import Kind, Text
from assay.config.sections import Handed, Port, Section
from assay.config.serving import Serving


class ImageRef(Section):
    """Where an image comes from."""

    repository: str = Field(description="Without registry and tag.")
    tag: str = Field(default="", description="Empty: the chart's appVersion.")
    digest: str = Field(
        default="", pattern=r"^(sha256:[0-9a-f]{64})?$", description="Wins over tag."
    )


class Images(Section):
    """The images of the platform."""

    registry: str = Field(description="Before every repository; empty: none.")
    pull_policy: str = Field(
        pattern="^(Always|IfNotPresent|Never)$",
        description="Of every container: `Always`, `IfNotPresent` or `Never`.",
    )
    pull_secrets: list[str] = Field(description="Names of Secrets.")
    worker: ImageRef
    torch: ImageRef
    judge: ImageRef
    control: ImageRef
    scorer: ImageRef


class Scheduling(Section):
    """Where pods may run, and with what."""

    resources: Handed = Field(default={}, description="As a container has them.")
    node_selector: dict[str, str] = Field(default={}, description="As a pod has it.")
    tolerations: list[Handed] = Field(default=[], description="As a pod has them.")
    affinity: Handed = Field(default={}, description="As a pod has it.")
    topology_spread_constraints: list[Handed] = Field(
        default=[], description="As a pod has them."
    )
    priority_class_name: str = Field(default="", description="As a pod has it.")
    runtime_class_name: str = Field(default="", description="As a pod has it.")
    pod_labels: dict[str, str] = Field(default={}, description="Beside ours.")
    pod_annotations: dict[str, str] = Field(default={}, description="Beside ours.")


class Component(Scheduling):
    """A service of the platform."""

    replicas: int = Field(
        ge=1,
        le=9,
        description="Above 1 a budget keeps all but one while nodes are drained.",
    )


class Single(Scheduling):
    """A service that has one pod by construction."""


class Demo(Section):
    """One MinIO pod, to try things out: not for production."""

    enabled: bool = Field(description="Instead of `endpoint`.")
    image: str = Field(
        description="The whole name of an image that has `minio` in its PATH, or as its entry point."
    )
    size: str = Field(description="Of its volume.")
    storage_class: str = Field(
        description="Empty: the cluster's default; `-`: the pod's own disk, gone with the pod."
    )
    resources: Handed = Field(description="As a container has them.")


class Store(Section):
    """Where datasets, answers and results are kept: any S3 endpoint."""

    endpoint: str = Field(description="host[:port]; empty with `demo.enabled`.")
    bucket: str = Field(description="Must be there, but with `demo.enabled`.")
    region: str = Field(description="As requests are signed for it.")
    prefix: str = Field(description="Empty: `<namespace>/<release>`.")
    secure: bool = Field(description="Use TLS.")
    ca_secret: str = Field(
        description="A Secret whose `ca.crt` signed the endpoint; empty: a public authority."
    )
    existing_secret: str = Field(
        description="A Secret with `access-key` and `secret-key`; empty: from the two keys below."
    )
    access_key: str = Field(description="Stands in Helm's record of the release.")
    secret_key: str = Field(description="The same.")
    demo: Demo


class LocalPods(Section):
    """A local model in its worker: the image is `images.torch`."""

    claim: str = Field(
        default="",
        description=(
            "A PersistentVolumeClaim with the weights, mounted for reading; empty: a hub has them."
        ),
    )
    path: str = Field(
        default="/weights",
        description="Where it is mounted: the model's `model_path` begins with it.",
    )
    gpus: int = Field(
        default=1,
        ge=0,
        description="Of `gpuResource` for each worker; one process per `gpus` of the model's entry.",
    )


class ModelPods(Scheduling):
    """How a model's workers run; nothing here changes a score, but `serving` names other weights."""

    replicas: int = Field(
        default=1, ge=1, description="Workers; may change while a run goes on."
    )
    serving: Serving | None = Field(
        default=None, description="An engine beside each worker; null: none."
    )
    local: LocalPods = Field(
        default=LocalPods(), description="What a local model's worker is given."
    )


class GpuPhases(StrEnum):
    """Whether models' and judge's pods may hold GPUs at the same time."""

    PARALLEL = "parallel"
    SEQUENTIAL = "sequential"


class Queue(Section):
    """Kueue's queue; its label is all that is set."""

    name: str = Field(description="Of a LocalQueue; empty: none.")
    priority_class: str = Field(description="Of Kueue; empty: none.")


class ApiServer(Section):
    """What pods reach when they talk to the API server: policies see its endpoint, not its Service."""

    cidrs: list[str] = Field(description="Its own addresses; empty: any.")
    port: Port = Field(description="Its own, which is seldom that of its Service.")


class StoreDoor(Section):
    """Where the store is, as policies see it: behind a Service its pods' own addresses and ports count."""

    cidrs: list[str] = Field(description="Empty: any address.")
    ports: list[Port] = Field(description="Empty: the endpoint's.")


class NetworkPolicy(Section):
    """Who may reach whom."""

    enabled: bool = Field(description="Shut every pod but for what its work needs.")
    api_server: ApiServer
    store: StoreDoor
    endpoint_cidrs: list[str] = Field(
        description=(
            "Where infer pods reach models, and their engines weights; empty, and without "
            "`endpointRules`: any address."
        )
    )
    endpoint_rules: list[Handed] = Field(
        description="More of that, as `egress` of a NetworkPolicy has it."
    )


Duration = Annotated[str, Field(pattern=r"^([0-9]+(ms|s|m|h|d))+$")]
"""As Prometheus writes one."""


class Alerts(Section):
    """When a PrometheusRule calls somebody; docs/operations.md has what to do then."""

    enabled: bool = Field(description="Make a PrometheusRule.")
    stalled_seconds: int = Field(
        ge=1, description="Of waiting while no answer becomes durable."
    )
    endpoint_seconds: int = Field(
        ge=1, description="Of a model or judge that answers nobody."
    )
    watch_seconds: int = Field(
        ge=1, description="Of silence on a watch; the API server speaks every minute."
    )
    window: Duration = Field(description="Over which is counted.")
    expiries: int = Field(ge=0, description="Leases that may expire in the window.")
    store_errors: int = Field(
        ge=0, description="Calls to the store that may fail in the window."
    )
    leaderless: Duration = Field(description="Without a controller that acts.")


class Dashboards(Section):
    """Grafana's dashboards: fleet, one run, GPU use, store and control plane."""

    enabled: bool = Field(description="Make a ConfigMap of each.")
    labels: dict[str, str] = Field(description="As Grafana's sidecar looks for them.")


class Monitoring(Section):
    """Prometheus and Grafana; every pod serves `GET /metrics` on port 9090."""

    enabled: bool = Field(
        description="Let Prometheus in, and make the operator's objects."
    )
    operator: bool = Field(
        description="Make ServiceMonitor, PodMonitor and PrometheusRule."
    )
    interval: Duration = Field(description="Between scrapes.")
    labels: dict[str, str] = Field(
        description="On those, as your Prometheus selects them."
    )
    scrape_from: list[Handed] = Field(
        description="Who may scrape, as `from` of a NetworkPolicy has it; empty: any pod."
    )
    alerts: Alerts
    dashboards: Dashboards


class Issuer(Section):
    """An issuer of cert-manager that tells its authority's certificate (CA, Vault; not ACME)."""

    name: str = Field(description="Empty: cert-manager is not asked.")
    kind: str = Field(
        pattern="^(Issuer|ClusterIssuer)$", description="`Issuer` or `ClusterIssuer`."
    )
    group: str = Field(
        description="Of the issuer; another than this for external ones."
    )


class CertManager(Section):
    """Certificates by cert-manager, which renews them."""

    issuer: Issuer


class Tls(Section):
    """Certificates between our services; with neither, the chart makes a pair for ten years and keeps it."""

    existing_secret: str = Field(
        description="A Secret with `tls.crt` for the name `assay`, `tls.key` and `ca.crt`."
    )
    cert_manager: CertManager


class Platform(Section):
    """Every key that is not EvalScope's."""

    name_override: str = Field(description="Instead of the chart's name in names.")
    fullname_override: str = Field(
        description="Before every name; empty: `<release>-<chart>`."
    )
    images: Images
    controller: Component
    dataset_service: Component
    aggregator: Single
    scorer: Scheduling
    store: Store
    models: dict[str, ModelPods] = Field(description="By the model's key.")
    judge: ModelPods = Field(
        description="How the judge's workers run, where eval_config names a judge."
    )
    gpu_phases: GpuPhases = Field(
        description=(
            "`sequential`: the judge's pods come when the models' are gone, so that they can share GPUs; "
            "`parallel`: as soon as there is something to judge."
        )
    )
    gpu_resource: str = Field(description="What a GPU is called by the scheduler.")
    queue: Queue
    network_policy: NetworkPolicy
    monitoring: Monitoring
    tls: Tls
    existing_secret: str = Field(
        description=(
            "A Secret with a key for every model, `model.0` for the first, and `judge`; empty: it is made "
            "from the file."
        )
    )
    suspend: bool = Field(description="Keeps the run's pods away; nothing is lost.")
    ttl_seconds_after_finished: Annotated[int, Field(ge=0)] | None = Field(
        description="When Jobs of a finished run go; null: with the run."
    )


def values_schema() -> dict[str, Any]:
    """What values may be, those of values.yaml included: Helm checks them together."""
    file = EvalFile.model_json_schema()
    platform = Platform.model_json_schema(by_alias=True)
    _widen(file)
    for schema in (file, platform):
        _plain(schema)
    properties = {
        **file["properties"],
        # Without it the platform alone is installed; of a file's name the chart has better words.
        "eval_config": {
            "anyOf": [file["properties"]["eval_config"], {"type": ["null", "string"]}]
        },
        "global": {"type": "object"},
        **platform["properties"],
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$comment": "Written by `python -m assay.config.chart`; edit services/assay/config instead.",
        "title": "Values of the chart",
        "type": "object",
        "additionalProperties": False,
        "properties": dict(sorted(properties.items())),
        "definitions": dict(sorted({**file["$defs"], **platform["$defs"]}.items())),
    }


def _widen(schema: dict[str, Any]) -> None:
    """Lets pass what has better words later: numbers as free words, a model class that has no `type`."""
    schema["$defs"]["ModelConfig"]["required"].remove("type")
    for name, field in EvalFile.model_fields.items():
        kinds = [each for each in field.metadata if isinstance(each, Kind)]
        if any(isinstance(kind, Text) and kind.words for kind in kinds):
            schema["properties"][name] = {
                "type": ["string", "integer"],
                "description": field.description or "",
            }


def _plain(schema: Any) -> None:
    """Makes of pydantic's schema one of draft 7, without titles and what only forms need."""
    if isinstance(schema, list):
        for each in schema:
            _plain(each)
    if not isinstance(schema, dict):
        return
    for name in ("title", "writeOnly", "format"):
        if isinstance(schema.get(name), (str, bool)):
            del schema[name]
    if isinstance(schema.get("$ref"), str):
        schema["$ref"] = schema["$ref"].replace("#/$defs/", "#/definitions/")
    for each in schema.values():
        _plain(each)


def main() -> None:
    """Writes the schema to standard output."""
    sys.stdout.write(json.dumps(values_schema(), indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
