"""Values as people install the chart with them: each is a release of its own in the chart's tests."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

Values = dict[str, Any]

_SEED = Path(__file__).parents[1] / "data/config/eval_openai_api.yaml"
_MODEL = {
    "type": "org/Qwen2.5-VL-3B",
    "name": "CustomAPIModel",
    "api_base": "http://models.example/v1/chat/completions",
    "key": "model-secret",
    "temperature": 0.0,
}
_FILE = {
    "eval_backend": "VLMEvalKit",
    "eval_config": {
        "model": [_MODEL],
        "data": ["MMStar"],
        "judge": "exact_matching",
        "OPENAI_API_KEY": "judge-secret",
    },
}
_DEMO = {"store": {"demo": {"enabled": True}}}
_ELSEWHERE = {
    "store": {
        "endpoint": "s3.example:9000",
        "bucket": "results",
        "caSecret": "store-ca",
        "existingSecret": "store-keys",
    }
}
_ENGINE = {"engine": "vllm", "image": "vllm:1", "model": "Qwen/Qwen2.5-VL-3B-Instruct"}
_PLACED = {
    "resources": {"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}},
    "nodeSelector": {"pool": "a"},
    "tolerations": [{"key": "gpu", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "topologySpreadConstraints": [
        {
            "maxSkew": 1,
            "topologyKey": "zone",
            "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": {"a": "b"}},
        }
    ],
    "priorityClassName": "high",
    "runtimeClassName": "nvidia",
    "podLabels": {"team": "vision"},
    "podAnnotations": {"note": "text"},
}
_DIGEST = f"sha256:{'a' * 64}"


def platform() -> Values:
    """The platform alone, with the demo store."""
    return copy.deepcopy(_DEMO)


def evaluation(**config: Any) -> Values:
    """An evaluation on it; `config` changes its `eval_config`."""
    values = copy.deepcopy(_DEMO | _FILE)
    values["eval_config"].update(config)
    return values


def seed() -> Values:
    """The file of an EvalScope user whose model is served on his machine."""
    return dict(yaml.safe_load(_SEED.read_text()))


def keyless() -> Values:
    """An evaluation whose file holds no secret."""
    return evaluation(model=[_MODEL | {"key": "EMPTY"}], OPENAI_API_KEY="EMPTY")


EVERY: dict[str, Values] = {
    "the platform alone": platform(),
    "an evaluation": evaluation(),
    "the seed's file with an engine": {
        **_DEMO,
        **seed(),
        "models": {"Qwen2_5-VL-3B-Instruct": {"serving": _ENGINE, "replicas": 2}},
    },
    "models of one name": evaluation(
        model=[_MODEL, _MODEL | {"type": "other/Qwen2.5-VL-3B"}]
    )
    | {"models": {"Qwen2_5-VL-3B-2": {"replicas": 3}}},
    "a store elsewhere": {**_ELSEWHERE, **_FILE},
    "a store by its keys": {
        "store": {"endpoint": "s3.example", "accessKey": "a", "secretKey": "s"}
    },
    "secrets of one's own": keyless()
    | {"existingSecret": "keys", "tls": {"existingSecret": "tls"}},
    "several of what can be several": {
        **_DEMO,
        "controller": {"replicas": 2},
        "datasetService": {"replicas": 3},
    },
    "placed everywhere": {
        **evaluation(),
        **dict.fromkeys(("controller", "datasetService", "aggregator"), _PLACED),
        "scorer": _PLACED,
        "models": {"Qwen2_5-VL-3B": _PLACED},
    },
    "images by digest": {
        **_DEMO,
        "images": {
            "registry": "registry.example/team",
            "pullPolicy": "Always",
            "pullSecrets": ["registry"],
            "control": {"digest": _DIGEST},
            "worker": {"tag": "9"},
        },
    },
    "a closed network": {
        **_ELSEWHERE,
        "networkPolicy": {
            "apiServer": {"cidrs": ["192.0.2.1/32"], "port": 443},
            "store": {"cidrs": ["192.0.2.0/28"], "ports": [9000]},
            "endpointCidrs": ["198.51.100.0/24"],
            "endpointRules": [{"to": [{"namespaceSelector": {}}]}],
        },
    },
    "no policies": {**_DEMO, "networkPolicy": {"enabled": False}},
    "a queue, suspended": {
        **evaluation(),
        "queue": {"name": "gpus", "priorityClass": "low"},
        "suspend": True,
        "ttlSecondsAfterFinished": 0,
        "fresh": 2,
    },
    "names of one's own": {**_DEMO, "fullnameOverride": "judgement-of-the-vision-team"},
    "a disk of the pod": {"store": {"demo": {"enabled": True, "storageClass": "-"}}},
}
"""What the real API server, checkov and kubernetes-validate look at."""

CERT_MANAGER: Values = {**_DEMO, "tls": {"certManager": {"issuer": {"name": "ca"}}}}
"""Its kinds are known to no server of the tests."""
