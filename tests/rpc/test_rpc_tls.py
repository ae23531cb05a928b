"""Calls between our services are encrypted where certificates are given, and certificates may be renewed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from grpc_health.v1 import health_pb2, health_pb2_grpc

from assay.domain.errors import ConfigError
from assay.process.contract import ChannelTls, ServerTls
from assay.rpc.callers import SharedToken
from assay.rpc.channel import open_channel
from assay.rpc.server import serve

TOKEN = "tls-test-token"


class Authority:
    """Signs certificates; its own lies in a file."""

    def __init__(self, folder, name="authority"):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.file = folder / f"{name}.crt"
        made = self._made(self.name, self.key.public_key(), authority=True)
        self.file.write_bytes(made.public_bytes(serialization.Encoding.PEM))

    def _made(self, subject, public, *, authority=False, host="aggregator"):
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(authority, None), critical=True)
            .add_extension(
                x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False
            )
            .sign(self.key, hashes.SHA256())
        )

    def issue(self, folder):
        """Puts a fresh pair into the files of a server."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = self._made(x509.Name([]), key.public_key())
        tls = ServerTls(
            certificate_file=folder / "tls.crt",
            key_file=folder / "tls.key",
            health_listen="127.0.0.1:0",
        )
        tls.key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        tls.certificate_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        return tls


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@pytest.fixture
async def server(authority, tmp_path):
    running = await serve(
        [],
        listen="127.0.0.1:0",
        authenticator=SharedToken(TOKEN),
        tls=authority.issue(tmp_path),
    )
    yield running
    await running.stop(0)


async def health(address, tls):
    async with open_channel(address, TOKEN, tls) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        return await stub.Check(health_pb2.HealthCheckRequest(), timeout=5)


def trusting(authority):
    return ChannelTls(ca_file=authority.file, server_name="aggregator")


async def test_a_client_that_knows_the_authority_is_served(server, authority):
    assert (await health(server.address, trusting(authority))).status == 1


async def test_a_client_that_knows_another_authority_is_not(server, tmp_path):
    other = trusting(Authority(tmp_path, "stranger"))
    with pytest.raises(grpc.RpcError):
        await health(server.address, other)


async def test_a_server_of_another_name_is_not_taken_for_ours(server, authority):
    wrong = ChannelTls(ca_file=authority.file, server_name="dataset")
    with pytest.raises(grpc.RpcError):
        await health(server.address, wrong)


async def test_a_call_without_tls_is_not_answered_but_a_probe_on_its_own_port_is(
    server,
):
    with pytest.raises(grpc.RpcError):
        await health(server.address, None)
    assert (await health(server.health_address, None)).status == 1


async def test_a_renewed_certificate_serves_the_next_connection(
    server, authority, tmp_path
):
    await health(server.address, trusting(authority))
    successor = Authority(tmp_path, "successor")
    successor.issue(tmp_path)
    assert (await health(server.address, trusting(successor))).status == 1


async def test_a_certificate_that_is_half_replaced_leaves_the_former_in_use(
    server, authority, tmp_path
):
    (tmp_path / "tls.key").unlink()
    assert (await health(server.address, trusting(authority))).status == 1


async def test_a_certificate_that_is_not_there_is_named(tmp_path):
    tls = ServerTls(certificate_file=tmp_path / "no.crt", key_file=tmp_path / "no.key")
    with pytest.raises(ConfigError, match=r"no\.crt.*mount the Secret"):
        await serve([], listen="127.0.0.1:0", authenticator=SharedToken(TOKEN), tls=tls)
