"""Where everything of the cluster stands: one folder, one network namespace, fixed addresses in it."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

NAMESPACE = "assay-kube"
NODE = "node-1"
NODE_ADDRESS = "10.99.0.1"
API = f"https://{NODE_ADDRESS}:6443"
POD_NETWORK = "10.244.0.0/16"
NODE_PODS = "10.244.0.0/24"
SERVICE_NETWORK = "10.96.0.0/16"
API_SERVICE = "10.96.0.1"
DNS_SERVICE = "10.96.0.10"
DEBIAN_CNI = Path("/usr/lib/cni")


@dataclass(frozen=True)
class Place:
    """The state folder. Sockets stand in it, so its path is short."""

    root: Path

    @property
    def logs(self) -> Path:
        """One file per server."""
        return self.root / "logs"

    @property
    def audit(self) -> Path:
        """One line of JSON for each write that pods and people ask of the API server."""
        return self.logs / "audit.log"

    @property
    def pids(self) -> Path:
        """One file per server that was started."""
        return self.root / "pids"

    @property
    def pki(self) -> Path:
        """Keys, certificates and tokens."""
        return self.root / "pki"

    @property
    def cni(self) -> Path:
        """The network plugins' configuration (`net.d`), programs (`bin`) and addresses (`leases`)."""
        return self.root / "cni"

    @property
    def containerd_socket(self) -> Path:
        """Where containerd listens."""
        return self.root / "run" / "containerd.sock"

    @property
    def ready(self) -> Path:
        """Written last, with the digest of what the cluster was made of: until then it is no cluster."""
        return self.root / "ready"

    def kubeconfig(self, who: str = "admin") -> Path:
        """How `who` reaches the API server."""
        return self.root / f"{who}.kubeconfig"


def here() -> Place:
    """The place of this user's cluster on this machine."""
    given = os.environ.get("ASSAY_CLUSTER_STATE")
    return Place(
        Path(given) if given else Path(tempfile.gettempdir()) / "assay-cluster"
    )
