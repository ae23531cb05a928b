"""Whatever dies and whenever, a run comes to its end: a simulated world that does what `decide` says."""

import random
from dataclasses import dataclass, field

import pytest

from assay.domain.actions import (
    AttachDataset,
    EnsureWorkers,
    FinishRun,
    Leave,
    OpenRun,
    Outcome,
    PrepareDataset,
    Service,
    StartScorer,
    StartService,
    StopWorkers,
    Wait,
)
from assay.domain.decide import decide
from assay.domain.observed import (
    Death,
    Ending,
    Observed,
    PartView,
    Preparation,
    PreparationState,
    Presence,
)
from assay.domain.restarts import progress_of
from assay.domain.task import TaskId
from support.decisions import DIGEST, queue, run_of, snapshot, task

RUN = run_of(models=("m", "n"), datasets=("d", "e"))
SIZE = 20
STATES = ("WAITING", "INFERRING", "INFERRED", "COMPLETE")


@dataclass
class SimulatedWorld:
    """Every part starts in one step, works one unit a step, and dies by chance."""

    dice: random.Random
    chance: float
    now: float = 0.0
    alive: dict = field(default_factory=dict)
    deaths: dict = field(default_factory=dict)
    preparations: dict = field(default_factory=dict)
    states: dict = field(
        default_factory=lambda: {
            TaskId(m.key, d.name): ["WAITING", 0]
            for m in RUN.models
            for d in RUN.datasets
        }
    )
    opened: bool = False
    final: bool = False

    def observed(self):
        return Observed(
            now=self.now,
            opened=self.opened,
            snapshot=self.snapshot(),
            snapshot_at=self.now,
            services=self.views(Service),
            workers=self.views([m.key for m in RUN.models]),
            scorers=self.views(self.states),
            preparations=self.preparations,
            early_workers=True,
        )

    def snapshot(self):
        tasks = [
            task(state, t.model, t.dataset, pending=SIZE - done, predicted=done)
            for t, (state, done) in self.states.items()
        ]
        queues = tuple(
            queue(
                "OPEN"
                if any(
                    t.id.model == m.key and t.state.value in STATES[:2] for t in tasks
                )
                else "CLOSED",
                m.key,
            )
            for m in RUN.models
        )
        state = "COMPLETE" if self.final else "RUNNING"
        return snapshot(*tasks, queues=queues, state=state)

    def views(self, names):
        return {
            name: PartView(
                presence=Presence.READY if name in self.alive else Presence.ABSENT,
                count=int(name in self.alive),
                deaths=tuple(self.deaths.get(name, ())),
            )
            for name in names
        }

    def end(self, name, ending):
        progress = progress_of(self.snapshot(), len(self.preparations))
        lived = self.now - self.alive.pop(name)
        death = Death(at=self.now, lived=lived, ending=ending, progress=progress)
        self.deaths.setdefault(name, []).append(death)
        if name is Service.AGGREGATOR:
            self.opened = False

    def act(self, action):
        match action:
            case StartService(name) | EnsureWorkers(name, _) | StartScorer(name):
                self.alive.setdefault(name, self.now)
            case OpenRun():
                self.opened = True
            case PrepareDataset(name, pictures):
                ready = Preparation(state=PreparationState.READY, digest=DIGEST)
                self.preparations[name, pictures] = ready
            case AttachDataset(name, models, _):
                for key in models:
                    self.states[TaskId(key, name)][0] = "INFERRING"
            case FinishRun(failure):
                assert not failure
                self.final = True

    def live(self):
        """One second of everybody's work, and of fate."""
        self.now += 1.0
        for name in list(self.alive):
            if self.dice.random() < self.chance:
                self.end(name, Ending.CRASHED)
        for key, entry in self.states.items():
            if entry[0] == "INFERRING" and self.opened and key.model in self.alive:
                entry[1] += 1
                entry[0] = "INFERRED" if entry[1] == SIZE else "INFERRING"
            elif entry[0] == "INFERRED" and self.opened and key in self.alive:
                entry[0] = "COMPLETE"
                self.end(key, Ending.DONE)
        for m in RUN.models:
            closed = all(
                s in STATES[2:] for t, (s, _) in self.states.items() if t.model == m.key
            )
            if closed and m.key in self.alive:
                self.end(m.key, Ending.DONE)


def _play(world):
    for _ in range(5000):
        actions = decide(RUN, world.observed())
        if isinstance(actions[-1], Leave):
            return actions[-1]
        for action in actions:
            assert not isinstance(action, StopWorkers)
            world.act(action)
        idle = all(isinstance(a, Wait) for a in actions) and not world.alive
        assert not (idle and actions[-1].until is None), "nothing would ever happen"
        world.live()
    raise AssertionError("the run never ended")


@pytest.mark.parametrize("seed", range(60))
def test_a_run_ends_complete_whatever_dies(seed):
    dice = random.Random(seed)
    world = SimulatedWorld(dice, chance=dice.choice([0.0, 0.03, 0.1]))
    leave = _play(world)
    assert leave.outcome is Outcome.FINISHED
    assert {state for state, _ in world.states.values()} == {"COMPLETE"}


def test_a_world_where_everything_dies_at_once_ends_in_words():
    leave = _play(SimulatedWorld(random.Random(0), chance=1.0))
    assert leave.outcome is Outcome.FAILED
    assert "times in a row without progress" in leave.message


def test_equal_worlds_lead_to_equal_actions():
    world = SimulatedWorld(random.Random(3), chance=0.1)
    assert decide(RUN, world.observed()) == decide(RUN, world.observed())
