"""Builds the container images; `make images` calls it."""
