"""One loop per EvalRun of the release while this controller leads; each is woken by what concerns it."""

from __future__ import annotations

import asyncio

from assay.controller.evalrun import EvalRun
from assay.controller.jobs import RUN_LABEL
from assay.controller.reconcile import Reconciler, Surroundings
from assay.controller.watches import AnyChange
from assay.controller.workloads import Job


class Manager:
    """Starts loops, wakes them, ends them; lives in the event loop's thread."""

    def __init__(self, around: Surroundings) -> None:
        """Leads nothing yet.

        Args:
            around: what loops work with.
        """
        self._around = around
        self._leads = False
        self._loops: dict[str, tuple[Reconciler, asyncio.Task[None]]] = {}

    def lead(self, leads: bool) -> None:  # noqa: FBT001 - the only thing it is told
        """Begins with every EvalRun there is, or leaves all to another controller."""
        self._leads = self._around.metrics.leads = leads
        if not leads:
            for _, task in self._loops.values():
                task.cancel()
            return
        for item in self._around.watches.runs.items():
            self._attend(item)

    def changed(self, change: AnyChange) -> None:
        """Something changed in one of the mirrors."""
        item = change.object
        if isinstance(item, EvalRun):
            if change.kind != "deleted":
                self._attend(item)
            self._wake(item.metadata.uid)
        elif isinstance(item, Job):
            for owner in item.metadata.owner_references or ():
                self._wake(owner.uid)
        else:
            run_id = (item.metadata.labels or {}).get(RUN_LABEL)
            for reconciler, _ in self._loops.values():
                if reconciler.run_id == run_id:
                    reconciler.wake()

    async def end(self) -> None:
        """Ends all loops; what they made goes on without them."""
        self.lead(False)  # noqa: FBT003 - as above
        tasks = [task for _, task in self._loops.values()]
        await asyncio.gather(*tasks, return_exceptions=True)

    def _attend(self, item: EvalRun) -> None:
        uid = item.metadata.uid
        if not self._leads or uid in self._loops:
            return
        reconciler = Reconciler(item, self._around)
        task = asyncio.create_task(reconciler.run(), name=f"run {item.metadata.name}")
        self._loops[uid] = reconciler, task
        task.add_done_callback(lambda _: self._left(uid, task))

    def _left(self, uid: str, task: asyncio.Task[None]) -> None:
        if uid in self._loops and self._loops[uid][1] is task:
            del self._loops[uid]
        if self._leads:
            # Cancelled, and called back since.
            for item in self._around.watches.runs.items():
                if item.metadata.uid == uid and not item.metadata.deletion_timestamp:
                    self._attend(item)

    def _wake(self, uid: str) -> None:
        if uid in self._loops:
            self._loops[uid][0].wake()
