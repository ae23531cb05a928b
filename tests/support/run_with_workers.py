"""`assay run` as it is, but with several infer processes a model; run as a program.

`python run_with_workers.py FILE RUN_DIR COUNT`. The local driver starts one worker a model, a cluster any
number; this lets a test have the second on one machine, with the driver's own processes and calls.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from assay.config import load_file, resolve
from assay.domain.observed import PartView
from assay.local.driver import Driver
from assay.local.folder import new_folder
from assay.local.launch import Launch, cache_folder, lmu_folders
from assay.local.listener import Listener
from assay.local.part import MakeConfig, Part


class Crew:
    """A driver's worker with others beside it; the driver minds the first alone."""

    def __init__(self, first: Part, others: list[Part]) -> None:
        self._first = first
        self._parts = [first, *others]

    @property
    def view(self) -> PartView:
        """The first one's."""
        return self._first.view

    def start(self, make_config: MakeConfig) -> None:
        """Starts those that are not there; every config has a worker's name of its own."""
        for part in self._parts:
            part.start(make_config)

    def terminate(self) -> None:
        """Asks all to go."""
        for part in self._parts:
            part.terminate()

    def kill(self) -> None:
        """Ends all at once."""
        for part in self._parts:
            part.kill()

    async def gone(self) -> None:
        """Returns when none is left."""
        await asyncio.gather(*(part.gone() for part in self._parts))


def main(file: Path, run_dir: Path, count: int) -> int:
    """Drives the run to its end; 0: it finished."""
    lmu_data = lmu_folders()
    resolved = resolve(
        load_file(file), environ=os.environ, lmu_data=lmu_data, base_dir=Path.cwd()
    )
    launch = Launch(
        folder=new_folder(resolved.run, run_dir),
        keys=resolved.secrets,
        cache=cache_folder(),
        lmu_data=lmu_data,
    )
    driver = Driver(resolved.run, launch, Listener(), retry=False)
    for model, first in driver.world.workers.items():
        others = [
            Part(
                module="assay.infer.main",
                journal=launch.journal(f"infer-{model}-{number}"),
                serves=False,
                changed=lambda: None,
                progress=lambda: 0,
            )
            for number in range(2, count + 1)
        ]
        driver.world.workers[model] = Crew(first, others)  # type: ignore[assignment]
    return 0 if asyncio.run(driver.drive()) is not None else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))
