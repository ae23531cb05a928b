"""One scorer per task: a supervisor that talks to the aggregator and a sealed child that evaluates."""
