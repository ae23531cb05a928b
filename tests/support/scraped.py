"""What Prometheus would read of a registry or a page, by name and labels."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples_of(page: str) -> Samples:
    """Every sample of a page in the text format."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def scraped(registry: CollectorRegistry) -> Samples:
    """Every sample of a registry, as it goes over the wire."""
    return samples_of(generate_latest(registry).decode())


def one(found: Samples, name: str, **labels: str) -> float:
    """The value of one sample; its other labels do not matter, but there is only one like it."""
    wanted = labels.items()
    values = [v for (n, has), v in found.items() if n == name and wanted <= has]
    assert len(values) == 1, (name, labels, values)
    return values[0]
