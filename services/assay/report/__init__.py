"""Tables and reports made from verdicts and metrics."""
