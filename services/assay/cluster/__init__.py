"""What the command line does in a cluster: it writes EvalRuns, reads them, and asks a release's services.

Everything that an EvalRun's status tells is read at the API server alone. What only the services know goes
over a port-forward, as the release's service account for command lines, whose token the API server gives
to whoever RBAC lets ask for it.
"""
