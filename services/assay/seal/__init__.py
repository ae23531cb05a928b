"""Starts a sealed child and talks to it."""
