"""The kinds of objects we deal with, and where each lives below the API server's address."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True)
class Resource:
    """A kind of object.

    Attributes:
        group: of the API; empty for the core.
        version: of the group.
        plural: its name in addresses and in RBAC rules.
        kind: its name inside objects.
        namespaced: whether its objects lie in namespaces.
    """

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    def __str__(self) -> str:
        """As kubectl and RBAC spell it: `jobs.batch`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def api_version(self) -> str:
        """What stands in an object's `apiVersion`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(
        self, namespace: str | None = None, name: str = "", subresource: str = ""
    ) -> str:
        """The address of the collection, of one object, or of a part of it.

        Args:
            namespace: None: over all namespaces, or of a kind that has none.
            name: empty: the collection.
            subresource: such as `status`; empty: the object.
        """
        words = ["apis", self.group] if self.group else ["api"]
        words.append(self.version)
        if namespace is not None and self.namespaced:
            words += ["namespaces", namespace]
        words += [word for word in (self.plural, name, subresource) if word]
        return "/" + "/".join(quote(word, safe="") for word in words)


class _Address(Resource):
    """What is no collection of objects."""

    def path(
        self, _namespace: str | None = None, _name: str = "", _subresource: str = ""
    ) -> str:
        """Its only address."""
        return f"/{self.plural}"


VERSION = _Address("", "", "version", "Info", namespaced=False)
"""The version of the API server; everybody may ask for it."""

EVAL_RUNS = Resource("assay.dev", "v1alpha1", "evalruns", "EvalRun")
JOBS = Resource("batch", "v1", "jobs", "Job")
PODS = Resource("", "v1", "pods", "Pod")
SECRETS = Resource("", "v1", "secrets", "Secret")
SERVICES = Resource("", "v1", "services", "Service")
SERVICE_ACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount")
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")
EVENTS = Resource("events.k8s.io", "v1", "events", "Event")
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")
NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
DEFINITIONS = Resource(
    "apiextensions.k8s.io",
    "v1",
    "customresourcedefinitions",
    "CustomResourceDefinition",
    namespaced=False,
)
ACCESS_REVIEWS = Resource(
    "authorization.k8s.io",
    "v1",
    "selfsubjectaccessreviews",
    "SelfSubjectAccessReview",
    namespaced=False,
)
