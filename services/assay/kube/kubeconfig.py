"""Access by a kubeconfig, read by the official client: contexts, certificates, tokens and exec plugins.

For the command line, whose users have such a file; the official client is imported only here and only
then, since a pod needs nothing of it.
"""

from __future__ import annotations

import os
import ssl
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assay.domain.errors import ConfigError, UnauthenticatedError
from assay.kube.access import Access

_DEFAULT = "~/.kube/config"


def from_kubeconfig(path: str | None = None, context: str | None = None) -> Access:
    """The access that a kubeconfig describes.

    Args:
        path: of the file, or several with colons between; None: $KUBECONFIG, else ~/.kube/config.
        context: None: the current one.

    Raises:
        ConfigError: there is no such file or context, or it cannot be read.
        UnauthenticatedError: the plugin that it names gives no credentials.
    """
    files = path or os.environ.get("KUBECONFIG") or _DEFAULT
    loaded = _load(files, context)
    if not loaded.server.startswith(("https://", "http://")):
        raise ConfigError(
            files,
            f"the cluster of context {loaded.context} has no address",
            "give it clusters[].cluster.server",
        )
    return Access(
        server=loaded.server,
        namespace=loaded.namespace,
        credentials=KubeconfigCredentials(files, loaded),
        tls=loaded.tls() if loaded.server.startswith("https://") else None,
        tls_name=loaded.settings.tls_server_name,
        proxy=loaded.settings.proxy,
    )


@dataclass(frozen=True)
class _Loaded:
    """A kubeconfig as the official client understood it."""

    context: str
    namespace: str
    settings: Any
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def server(self) -> str:
        return str(self.settings.host).rstrip("/")

    def tls(self) -> ssl.SSLContext:
        """Whom to believe, and the client certificate."""
        tls = ssl.create_default_context(cafile=self.settings.ssl_ca_cert)
        if not self.settings.verify_ssl:
            # The user's own file says insecure-skip-tls-verify.
            tls.check_hostname = False
            tls.verify_mode = ssl.CERT_NONE
        if self.settings.cert_file:
            tls.load_cert_chain(self.settings.cert_file, self.settings.key_file)
        return tls

    def authorization(self) -> str:
        """The header; the client runs a plugin again when it knows that its token has expired."""
        # The client does that without a lock of its own.
        with self.lock:
            if self.settings.refresh_api_key_hook is not None:
                self.settings.refresh_api_key_hook(self.settings)
            return str(self.settings.api_key.get("BearerToken", "")).strip()


class KubeconfigCredentials:
    """What a kubeconfig's user proves himself with, from the file itself or from the plugin it names.

    A client certificate is read once, with the connection: a plugin that gives certificates serves for as
    long as its first one is valid.
    """

    def __init__(self, files: str, loaded: _Loaded) -> None:
        self._files = files
        self._loaded = loaded

    def authorization(self) -> str:
        """See Credentials."""
        return self._loaded.authorization()

    def renew(self) -> bool:
        """See Credentials: reads the file again, and runs its plugin again."""
        former = self._loaded.authorization()
        self._loaded = _load(self._files, self._loaded.context)
        return self._loaded.authorization() != former


def _load(files: str, context: str | None) -> _Loaded:
    from kubernetes.client import Configuration  # noqa: PLC0415 - see the module
    from kubernetes.config import kube_config  # noqa: PLC0415

    _require(files)
    settings = Configuration()
    settings.host = ""
    try:
        merged = kube_config.KubeConfigMerger(files).config
        # Without a base path, paths in a file are relative to that file.
        loader = kube_config.KubeConfigLoader(
            merged, active_context=context, config_base_path=None
        )
        loader.load_and_set(settings)
        active = loader.current_context
        plugin = _plugin(merged, active)
    # The client raises what its parts raise: yaml's, ssl's and its own errors, KeyError among them.
    except Exception as error:
        raise ConfigError(
            files,
            f"cannot use it: {error}",
            "name another file with --kubeconfig or $KUBECONFIG; kubectl config view shows this one",
        ) from error
    if plugin and not settings.api_key and not settings.cert_file:
        # The client logs why and goes on without credentials.
        raise UnauthenticatedError(
            f"cannot use context {active['name']} of {files}: {plugin} gave no credentials",
            cure=f"install or log in with {plugin}: kubectl get pods shows what it says",
        )
    return _Loaded(
        context=active["name"],
        namespace=active["context"].get("namespace") or "default",
        settings=settings,
    )


def _plugin(merged: Any, active: dict[str, Any]) -> str:
    """The command that the context's user names for credentials; empty: none."""
    user = merged["users"].get_with_name(active["context"].get("user"), safe=True)
    if not user or not user.value.get("user"):
        return ""
    return str((user.value["user"].get("exec") or {}).get("command", ""))


def _require(files: str) -> None:
    """Refuses when none of the files is there: the client's own words do not say so."""
    paths = [Path(each).expanduser() for each in files.split(os.pathsep) if each]
    if not any(path.is_file() for path in paths):
        raise ConfigError(
            files,
            "there is no kubeconfig",
            "name one with --kubeconfig or $KUBECONFIG",
        )
