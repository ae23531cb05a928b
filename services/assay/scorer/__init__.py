"""The scorer: a supervisor that talks to the aggregator, and a sealed child that runs VLMEvalKit."""
