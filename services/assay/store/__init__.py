"""What is kept: objects by key, completions in segments, prepared datasets in packs."""
