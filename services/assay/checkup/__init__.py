"""Whether an installed release works, seen from inside the cluster: what `helm test` runs."""
