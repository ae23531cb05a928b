"""The dataset service: fetch, verify, prepare once."""
