"""Runs code that is trusted with nothing: a child that seals itself before it reads its input."""
