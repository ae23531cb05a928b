"""How a process of ours starts and ends: its config by descriptor or file, readiness, signals, exit codes."""
