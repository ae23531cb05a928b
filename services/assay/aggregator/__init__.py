"""Owns sample state: leases out, completions in, durable before acknowledged."""
