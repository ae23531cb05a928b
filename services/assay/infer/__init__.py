"""The infer worker's process."""
