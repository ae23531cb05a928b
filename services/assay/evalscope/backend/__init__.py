"""`evalscope.backend`: here so that EvalScope's import paths work."""
