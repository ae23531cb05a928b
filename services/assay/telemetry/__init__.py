"""Logs, metrics and traces: set-up only; what is said is said where it happens."""
