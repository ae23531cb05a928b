"""Where the API server is, and how a process proves itself to it: inside a pod, or with a kubeconfig.

Services call `in_cluster`; the command line calls `assay.kube.kubeconfig`. Both make an `Access`, from
which `Transport` takes connections and, for each request, the token as it stands at that moment.
"""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import urllib3

from assay.domain.errors import ConfigError
from assay.process.token_file import TokenFile

MOUNTED = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod finds its service account, unless its spec mounts it elsewhere."""


class Credentials(Protocol):
    """What a request proves its caller with, beside a client certificate."""

    def authorization(self) -> str:
        """The header of that name, as it stands now; empty: none is needed.

        Raises:
            UnavailableError: it cannot be read now.
        """
        ...

    def renew(self) -> bool:
        """After a refusal: looks for newer ones; whether there are.

        Raises:
            UnavailableError: they cannot be read now.
            UnauthenticatedError: what makes them failed.
            ConfigError: the file they came from cannot be used any more.
        """
        ...


@dataclass(frozen=True)
class Access:
    """An API server and a caller.

    Attributes:
        server: its address, without a slash at the end.
        namespace: where the caller's own objects lie unless it says otherwise.
        credentials: what each request carries.
        tls: whom to believe, and the client certificate; None: the address is plain http.
        tls_name: the name in the server's certificate where it is not the address's.
        proxy: address of a proxy on the way; None: none.
    """

    server: str
    namespace: str
    credentials: Credentials
    tls: ssl.SSLContext | None = None
    tls_name: str | None = None
    proxy: str | None = None

    def pool(self, **options: Any) -> urllib3.PoolManager:
        """Connections to the server."""
        if self.tls is not None:
            options["ssl_context"] = self.tls
        if self.tls_name is not None:
            options["server_hostname"] = self.tls_name
        if self.proxy is not None:
            return urllib3.ProxyManager(self.proxy, **options)
        return urllib3.PoolManager(**options)


class MountedToken:
    """A token that the kubelet keeps fresh in a file."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._token = TokenFile(path, clock)

    def authorization(self) -> str:
        """See Credentials."""
        return f"Bearer {self._token()}"

    def renew(self) -> bool:
        """See Credentials."""
        return self._token() != self._token.read_again()


def in_cluster(
    environment: Mapping[str, str] = os.environ, mounted: Path = MOUNTED
) -> Access:
    """The access of a pod with a service account; the cluster's authority is read once.

    Args:
        environment: names the server, as the kubelet sets it.
        mounted: holds `token`, `ca.crt` and `namespace`.

    Raises:
        ConfigError: this process runs in no pod, or in one without a token.
    """
    host = environment.get("KUBERNETES_SERVICE_HOST", "")
    port = environment.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        raise ConfigError(
            "KUBERNETES_SERVICE_HOST",
            "not set: this process runs in no pod",
            "run it in a pod, or give it a kubeconfig",
        )
    for name in ("token", "ca.crt", "namespace"):
        if not (mounted / name).is_file():
            raise ConfigError(
                str(mounted / name),
                "missing: this pod has no service account token",
                "set automountServiceAccountToken or mount a projected token there",
            )
    # An IPv6 address stands in brackets.
    host = f"[{host}]" if ":" in host else host
    return Access(
        server=f"https://{host}:{port}",
        namespace=(mounted / "namespace").read_text().strip(),
        credentials=MountedToken(mounted / "token"),
        tls=ssl.create_default_context(cafile=mounted / "ca.crt"),
    )
