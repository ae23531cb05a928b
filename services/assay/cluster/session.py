"""Calls to a release's services: port-forward, token and TLS, taken up together and ended together."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from assay.cluster.place import Place
from assay.cluster.pods import PodSeen, why_not_ready
from assay.cluster.releases import Release, authority_of
from assay.cluster.tokens import release_token
from assay.domain.errors import UnavailableError
from assay.kube.backoff import Backoff
from assay.kube.portforward import PortForward, Target, port_forward
from assay.kube.resources import PODS
from assay.process.contract import ChannelTls
from assay.rpc.channel import open_channel
from assay.rpc.dataset_client import DatasetClient
from assay.rpc.run_client import RunClient
from assay.rpc.run_results_client import RunResultsClient

_PORT = 8443
"""Where every service of the chart listens."""

_ATTEMPTS = 5
T = TypeVar("T")


class Session:
    """A way to a service of a release that mends itself."""

    def __init__(self, channel: Any, forward: PortForward) -> None:
        self._channel = channel
        self._forward = forward

    def run(self, run_id: str) -> RunClient:
        """Calls about one run."""
        return RunClient(self._channel, run_id=run_id)

    @property
    def results(self) -> RunResultsClient:
        """Calls that read."""
        return RunResultsClient(self._channel)

    @property
    def datasets(self) -> DatasetClient:
        """Calls to a dataset service."""
        return DatasetClient(self._channel)

    async def ask(self, call: Callable[[], Awaitable[T]]) -> T:
        """The answer to a call that may be repeated: again while the way to the aggregator is mended.

        Raises:
            AssayError: what the call raises; for an aggregator that stays away, why it cannot be reached.
        """
        backoff = Backoff(0.5, 5.0)
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return await call()
            except UnavailableError as error:
                if attempt == _ATTEMPTS:
                    raise self._forward.problem or error from error
                await asyncio.sleep(backoff.next(error.retry_after or 0.0))
        raise AssertionError  # The last attempt returns or raises.


@asynccontextmanager
async def session_with(
    place: Place, release: Release, component: str = "aggregator"
) -> AsyncIterator[Session]:
    """A session with a service of a release, checked as far as its pod.

    Raises:
        UnavailableError: no pod of it is ready, or it cannot be reached.
        AssayError: RBAC lets the caller not forward a port, ask for a token or read whom to believe.
    """
    authority = await asyncio.to_thread(authority_of, place, release)

    def find() -> str:
        return ready_pod(place, release, component)

    target = Target(place.namespace, find, _PORT)
    with tempfile.TemporaryDirectory(prefix="assay-") as folder:
        believed = Path(folder) / "ca.crt"
        believed.write_text(authority)
        tls = ChannelTls(ca_file=believed, server_name=release.server_name)
        async with (
            release_token(place, release) as token,
            port_forward(place.access, target) as (address, forward),
            open_channel(address, token, tls) as channel,
        ):
            yield Session(channel, forward)


def ready_pod(place: Place, release: Release, component: str) -> str:
    """The name of a pod of a release's part that is ready. Blocks.

    Raises:
        UnavailableError: none is.
        PermissionDeniedError, UnauthenticatedError: pods may not be looked at.
    """
    labels = release.labels(component)
    pods = place.api.list(PODS, place.namespace, of=PodSeen, labels=labels).items
    for pod in pods:
        if pod.ready:
            return pod.metadata.name
    seen = "; ".join(why_not_ready(pod) for pod in pods) or "it has none"
    raise UnavailableError(
        f"the {component} of release {release.name} in namespace {place.namespace} is not ready: {seen}",
        cure=f"assay doctor, or kubectl -n {place.namespace} describe pods -l {labels}",
    )
