"""Starts the scorer as the process that it is."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from assay.process.configs import ScorerConfig


async def start_scorer(
    config: ScorerConfig, folder: Path
) -> asyncio.subprocess.Process:
    """The process; its log is `<folder>/log`."""
    document = {
        **json.loads(config.model_dump_json()),
        "token": config.token.get_secret_value(),
        "log_file": str(folder / "log"),
    }
    reading, writing = os.pipe()
    os.write(writing, json.dumps(document).encode())
    os.close(writing)
    command = ("-m", "assay.scorer.main", "--config-fd", str(reading))
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, pass_fds=(reading,)
    )
    os.close(reading)
    return process
