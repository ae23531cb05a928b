"""Assay: vision-language model evaluations that equal VLMEvalKit's, lose nothing and wait for nothing."""
