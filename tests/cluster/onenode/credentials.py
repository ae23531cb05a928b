"""Keys, certificates, tokens and kubeconfigs of the cluster, new for each."""

from __future__ import annotations

import json
import secrets
import subprocess

from cluster.onenode.place import API, API_SERVICE, NODE, NODE_ADDRESS, Place

_NAMES = (
    f"IP:{API_SERVICE},IP:{NODE_ADDRESS},IP:127.0.0.1,DNS:localhost,DNS:kubernetes,"
    "DNS:kubernetes.default,DNS:kubernetes.default.svc,"
    "DNS:kubernetes.default.svc.cluster.local"
)
_REQUEST = (
    "req -newkey rsa:2048 -nodes -subj /CN=kube-apiserver -keyout api.key -out api.csr"
)
_SIGN = "x509 -req -days 30 -in api.csr -out api.crt"
_COMMANDS = (
    "req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=kube-ca -keyout ca.key -out ca.crt",
    "genrsa -out sa.key 2048",
    "rsa -in sa.key -pubout -out sa.pub",
    f"{_REQUEST} -addext subjectAltName={_NAMES}",
    f"{_SIGN} -CA ca.crt -CAkey ca.key -CAcreateserial -copy_extensions copyall",
)
# Who talks to the API server: the name, and the groups that give it its rights.
_CALLERS = {
    "admin": ("admin", "system:masters"),
    "kubelet": (f"system:node:{NODE}", "system:nodes"),
    "controller-manager": ("system:kube-controller-manager", ""),
    "scheduler": ("system:kube-scheduler", ""),
    "proxy": ("system:kube-proxy", ""),
    "calico": ("calico", "system:masters"),
}


def make(place: Place) -> None:
    """Writes all of them."""
    place.pki.mkdir(parents=True)
    _certificates(place)
    lines = []
    for who, (user, groups) in _CALLERS.items():
        token = secrets.token_hex(16)
        lines.append(f'{token},{user},{who},"{groups}"\n')
        place.kubeconfig(who).write_text(json.dumps(_kubeconfig(place, token)))
        place.kubeconfig(who).chmod(0o600)
    (place.pki / "tokens.csv").write_text("".join(lines))


def _certificates(place: Place) -> None:
    for command in _COMMANDS:
        subprocess.run(
            ["openssl", *command.split()],
            cwd=place.pki,
            check=True,
            capture_output=True,
            timeout=60,
        )


def _kubeconfig(place: Place, token: str) -> dict[str, object]:
    cluster = {
        "server": API,
        "certificate-authority": str(place.pki / "ca.crt"),
    }
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "onenode", "cluster": cluster}],
        "users": [{"name": "caller", "user": {"token": token}}],
        "contexts": [
            {"name": "onenode", "context": {"cluster": "onenode", "user": "caller"}}
        ],
        "current-context": "onenode",
    }
