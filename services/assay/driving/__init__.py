"""What every driver of a run shares: calls to services, what they said, and what a person is told of it.

`local/` drives runs with processes on one machine, `controller/` with Jobs in a cluster; both ask `decide`.
"""
