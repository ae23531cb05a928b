"""The only way to the Kubernetes API: a thin adapter for the controller, the aggregator's claim and the CLI.

Blocking code, run by its callers in threads that they name. Bytes are decoded into slim structs of just
the fields that are looked at: the models of the official client take a hundred times as long, and its
informer asks again without pause when a watch breaks.
"""
