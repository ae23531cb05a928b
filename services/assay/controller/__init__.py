"""Turns EvalRuns into Jobs, and what became of them into conditions; the rest of a run is `decide`'s."""
