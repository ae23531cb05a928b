"""The versions a result depends on, read from what is installed; services put them into reports."""

from __future__ import annotations

import platform
from importlib import metadata

_PACKAGES = ("assay", "ms-vlmeval", "Pillow", "pandas", "numpy")


def installed_versions() -> dict[str, str]:
    """Versions of assay, ms-vlmeval, Pillow, pandas, numpy and Python; `none` where one is not installed."""
    versions = {package: _version(package) for package in _PACKAGES}
    versions["Python"] = platform.python_version()
    return versions


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "none"
