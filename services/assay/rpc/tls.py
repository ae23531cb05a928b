"""TLS between our services: certificates from mounted files, read anew when they change.

Configs name the files; servers and channels are made with what is returned here. Without files
(one machine, loopback) nothing is encrypted.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import grpc
import structlog

from assay.domain.errors import ConfigError
from assay.process.contract import ChannelTls, ServerTls

_log = structlog.get_logger(__name__)

_Pair = tuple[bytes, bytes]


def server_credentials(tls: ServerTls) -> grpc.ServerCredentials:
    """Credentials that follow the files: a renewed certificate serves the next connection.

    Raises:
        ConfigError: the files cannot be read.
    """
    pair = _read(tls)
    return grpc.dynamic_ssl_server_credentials(
        _certificate(pair),
        _renewal(tls, pair),  # type: ignore[arg-type]  # None is documented, not typed
        require_client_authentication=False,
    )


def channel_credentials(tls: ChannelTls) -> grpc.ChannelCredentials:
    """What a client trusts.

    Raises:
        ConfigError: the authority's file cannot be read.
    """
    return grpc.ssl_channel_credentials(root_certificates=_bytes(tls.ca_file))


def _renewal(
    tls: ServerTls, present: _Pair
) -> Callable[[], grpc.ServerCertificateConfiguration | None]:
    """Asked at every handshake; None: what is in use still stands."""
    latest = [present]

    def renewed() -> grpc.ServerCertificateConfiguration | None:
        try:
            pair = _read(tls)
        except ConfigError as error:
            # Halfway through being replaced; the next handshake looks again.
            _log.warning("cannot read the certificate", error=str(error))
            return None
        if pair == latest[0]:
            return None
        latest[0] = pair
        return _certificate(pair)

    return renewed


def _certificate(pair: _Pair) -> grpc.ServerCertificateConfiguration:
    certificate, key = pair
    return grpc.ssl_server_certificate_configuration([(key, certificate)])


def _read(tls: ServerTls) -> _Pair:
    return _bytes(tls.certificate_file), _bytes(tls.key_file)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(
            "tls",
            f"cannot read {path}: {error.strerror}",
            "mount the Secret with the certificate there",
        ) from error
