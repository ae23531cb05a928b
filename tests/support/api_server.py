"""A real Kubernetes API server with a database of its own, on loopback: no node, no controller.

Enough to see how it numbers versions, watches, refuses and forgets. Whoever needs pods takes the cluster.
"""

from __future__ import annotations

import base64
import json
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import urllib3
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from assay.kube.access import Access
from assay.kube.kubeconfig import from_kubeconfig
from support.binaries import binary

START_SECONDS = 100
ADMIN = "admin-of-the-tests"
NOBODY = "nobody-of-the-tests"
CONTROLLER = "controller-of-the-tests"
_AUDITED = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "Metadata", "users": ["controller"]},
        {"level": "None"},
    ],
}


@dataclass
class ApiServer:
    """One that answers; a test may kill it and start it again over the same database."""

    address: str
    folder: Path
    command: list[Any]
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it answers."""
        log = self.folder / "kube-apiserver.log"
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                self.command, cwd=self.folder, stdout=out, stderr=out
            )
        _await(self.process, self)

    def kill(self) -> None:
        """As a lost machine would end it."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)

    def calls_of_controller(self) -> list[dict[str, Any]]:
        """Every request that was made with the controller's token and has begun to be answered."""
        log = self.folder / "audit.log"
        text = log.read_text() if log.exists() else ""
        return [json.loads(line) for line in text.splitlines()]

    def kubeconfig(self, *, name: str = "admin", **user: Any) -> Path:
        """A kubeconfig whose user proves itself as given."""
        path = self.folder / f"{name}.kubeconfig"
        cluster = {
            "server": self.address,
            "certificate-authority": str(self.folder / "ca.crt"),
        }
        config = {
            "current-context": "tests",
            "clusters": [{"name": "one", "cluster": cluster}],
            "users": [{"name": "caller", "user": user or {"token": ADMIN}}],
            "contexts": [
                {
                    "name": "tests",
                    "context": {
                        "cluster": "one",
                        "user": "caller",
                        "namespace": "eval",
                    },
                }
            ],
        }
        path.write_text(json.dumps(config))
        return path

    def access(self, **user: Any) -> Access:
        """The way in, as the administrator unless the user is given."""
        return from_kubeconfig(str(self.kubeconfig(**user)))


def signed(folder: Path, common_name: str, organization: str = "") -> dict[str, str]:
    """A client certificate of the server's authority, as a kubeconfig's user has it inline."""
    authority = serialization.load_pem_private_key(
        (folder / "ca.key").read_bytes(), None
    )
    issuer = x509.load_pem_x509_certificate((folder / "ca.crt").read_bytes()).subject
    key = ec.generate_private_key(ec.SECP256R1())
    subject = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organization:
        subject.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    certificate = _certificate(x509.Name(subject), issuer, key).sign(
        authority,  # type: ignore[arg-type]  # it is the one written below
        hashes.SHA256(),
    )
    return {
        "client-certificate-data": _inline(_pem(certificate)),
        "client-key-data": _inline(_key_pem(key)),
    }


def make_certificates(folder: Path) -> None:
    """An authority and the server's certificate."""
    authority = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests-ca")])
    root = _certificate(name, name, authority).add_extension(
        x509.BasicConstraints(ca=True, path_length=None), critical=True
    )
    (folder / "ca.crt").write_bytes(_pem(root.sign(authority, hashes.SHA256())))
    (folder / "ca.key").write_bytes(_key_pem(authority))
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kube-apiserver")])
    names = [
        x509.IPAddress(ip_address("127.0.0.1")),
        x509.DNSName("kubernetes.default.svc"),
    ]
    server = _certificate(subject, name, key).add_extension(
        x509.SubjectAlternativeName(names), critical=False
    )
    (folder / "api.crt").write_bytes(_pem(server.sign(authority, hashes.SHA256())))
    (folder / "api.key").write_bytes(_key_pem(key))


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _inline(data: bytes) -> str:
    return base64.b64encode(data).decode()


@contextmanager
def running_api_server(folder: Path) -> Iterator[ApiServer]:
    """Starts a database and an API server over it, and ends both."""
    make_certificates(folder)
    rows = (
        f'{ADMIN},admin,1,"system:masters"\n{NOBODY},nobody,2,""\n'
        f'{CONTROLLER},controller,3,"system:masters"\n'
    )
    (folder / "tokens.csv").write_text(rows)
    (folder / "audit.json").write_text(json.dumps(_AUDITED))
    database, peers, port = (_free_port() for _ in range(3))
    etcd = [binary("etcd"), f"--data-dir={folder}/etcd", "--unsafe-no-fsync"]
    etcd += _addresses("client", database) + _addresses("peer", peers)
    command = _flags(folder, database, port)
    server = ApiServer(f"https://127.0.0.1:{port}", folder, command)
    with _process(folder, etcd):
        try:
            server.start()
            yield server
        finally:
            server.kill()


def _addresses(kind: str, port: int) -> list[str]:
    url = f"http://127.0.0.1:{port}"
    told = "advertise" if kind == "client" else "initial-advertise"
    words = [f"--listen-{kind}-urls={url}", f"--{told}-{kind}-urls={url}"]
    return words + ([f"--initial-cluster=default={url}"] if kind == "peer" else [])


def _flags(folder: Path, database: int, port: int) -> list[Any]:
    return [
        binary("kube-apiserver"),
        f"--etcd-servers=http://127.0.0.1:{database}",
        f"--secure-port={port}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        f"--tls-cert-file={folder}/api.crt",
        f"--tls-private-key-file={folder}/api.key",
        f"--client-ca-file={folder}/ca.crt",
        f"--token-auth-file={folder}/tokens.csv",
        f"--audit-policy-file={folder}/audit.json",
        f"--audit-log-path={folder}/audit.log",
        "--authorization-mode=RBAC",
        # There is no controller that would make a namespace's default account.
        "--disable-admission-plugins=ServiceAccount",
        f"--service-account-key-file={folder}/api.crt",
        f"--service-account-signing-key-file={folder}/api.key",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--endpoint-reconciler-type=none",
    ]


@contextmanager
def _process(folder: Path, command: list[Any]) -> Iterator[None]:
    with (folder / "etcd.log").open("wb") as out:
        process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=out)
    try:
        yield
    finally:
        process.kill()
        process.wait(10)


def _await(process: subprocess.Popen[bytes], server: ApiServer) -> None:
    pool = server.access().pool(retries=False, timeout=5)
    headers = {"Authorization": f"Bearer {ADMIN}"}
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            url = f"{server.address}/readyz"
            if pool.request("GET", url, headers=headers).status == 200:
                return
        except urllib3.exceptions.HTTPError:
            pass
        time.sleep(0.1)
    log = (server.folder / "kube-apiserver.log").read_text()
    raise AssertionError(f"the API server did not start:\n{log[-3000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
