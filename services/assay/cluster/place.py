"""Where a command works: one namespace of the cluster that a kubeconfig names."""

from __future__ import annotations

from dataclasses import dataclass

from assay.kube.access import Access
from assay.kube.api import KubeApi
from assay.kube.kubeconfig import from_kubeconfig
from assay.kube.transport import Transport


@dataclass(frozen=True)
class Place:
    """A namespace, and the way to it.

    Attributes:
        access: for what is no request, such as a port-forward.
    """

    access: Access
    api: KubeApi
    namespace: str


def place_of(
    kubeconfig: str | None = None,
    context: str | None = None,
    namespace: str | None = None,
) -> Place:
    """The place that a user means; connects to nothing yet.

    Args:
        kubeconfig: None: $KUBECONFIG, else ~/.kube/config.
        context: None: the current one.
        namespace: None: the context's.

    Raises:
        ConfigError: there is no such file or context, or it cannot be read.
        UnauthenticatedError: the plugin that it names gives no credentials.
    """
    access = from_kubeconfig(kubeconfig, context)
    api = KubeApi(Transport(access))
    return Place(access, api, namespace or access.namespace)
