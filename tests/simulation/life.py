"""The life of one shop: steps drawn from a seed, each followed by all invariants."""

import dataclasses
import hashlib
import random
import shutil
import tempfile
from pathlib import Path

import faults
import invariants
from operations import OPERATIONS
from quick_files import scratch_parent
from shop import Settings
from world import World

from tfrs_pretrain.errors import UserError

WEEKS = 52
# Probability of each operation in a week. They run in random order.
CHANCES = {"dataset": 0.5, "pretrain": 0.6, "rank": 0.6, "index": 0.15, "export": 0.15, "delta": 0.5, "withdraw": 0.25,
           "tamper": 0.25, "push": 0.8, "promote": 0.25, "roll back": 0.15, "restart": 0.05, "compact": 0.15,
           "clean": 0.4, "forget": 0.15}
SERVER = ("promote", "roll back", "restart")  # operations that talk to the server and write files
FAULTS = 0.15  # share of the steps that meet a fault


@dataclasses.dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
      week: of the shop.
      operation: name.
      seed: of the arguments.
      fault: name of a fault, or None.
    """

    week: int
    operation: str
    seed: int
    fault: str | None = None

    def without_fault(self):
        """The same step without its fault."""
        return dataclasses.replace(self, fault=None)

    def __str__(self):
        return f"week {self.week:2}: {self.operation} (seed {self.seed})" + (f", {self.fault}" if self.fault else "")


def drawn_steps(seed, weeks=WEEKS):
    """The steps of a life."""
    draw = random.Random(f"steps {seed}")
    steps = []
    for week in range(weeks):
        steps.append(Step(week, "log", draw.getrandbits(32)))
        names = [name for name, chance in CHANCES.items() if draw.random() < chance]
        if draw.random() < 0.3:
            draw.shuffle(names)
        steps += [Step(week, name, draw.getrandbits(32), draw.choice(faults.KINDS) if draw.random() < FAULTS else None)
                  for name in names]
    return steps


def drawn_settings(seed):
    """The settings of a life."""
    draw = random.Random(f"settings {seed}")
    return Settings.drawn(draw, draw.getrandbits(20))


class Life:
    """A shop that steps are applied to.

    Args:
      seed: of the settings.
      folder: scratch folder; removed by ``close``.
    """

    def __init__(self, seed, folder: Path):
        self.world = World(folder, drawn_settings(seed))
        self.trace: list[str] = []

    def take(self, step: Step):
        """Takes one step and checks the invariants; appends to the trace."""
        world = self.world
        world.week = max(world.week, step.week)
        draw = random.Random(step.seed)
        if step.operation == "log":
            world.log_week(draw)
            self.trace.append(f"{step} {digest(world.shop.files)}")
            return
        operation = OPERATIONS[step.operation]
        plan = operation.plan(world, draw)
        if plan is None:
            return
        outcome = self._run(operation, plan, step.fault if operation.faults else None, draw)
        invariants.check(world)
        self.trace.append(f"{step} {plan} {outcome} {self.state()}")

    def _run(self, operation, plan, fault, draw):
        """Runs an operation, with a fault; returns what happened."""
        world, at = self.world, 1 + int(draw.random() ** 2 * 90)
        if fault in faults.MODES:
            if self._interrupt(operation, plan, fault, at) and draw.random() < 0.3:
                return "abandoned"
        elif fault == "two writers":
            faults.with_second_writer(lambda: operation.run(world, plan), world.shop.root, at)
        elif fault == "clock":
            faults.jump(world.shop.root, draw)
        elif fault == "repeated log":
            faults.repeat_log(world.shop, draw)
        try:
            operation.run(world, plan)
        except UserError as error:
            raise invariants.ViolationError("steps succeed", f"{operation.name} {plan} {fault}: {error}") from error
        operation.commit(world, plan)
        world.abandoned -= operation.targets(plan)
        return "done"

    def _interrupt(self, operation, plan, fault, at):
        """Meets an operation with a fault; returns whether it can be abandoned. What was complete must stay."""
        world = self.world
        interrupt = faults.interrupted_here if operation.name in SERVER else faults.interrupted
        interrupt(lambda: operation.run(world, plan), world.shop.root, fault, at)
        if not operation.finished:
            return False
        world.abandoned |= operation.targets(plan)
        is_finished = operation.finished(world, plan)
        if not is_finished:
            invariants.check(world)
        if operation.abandon:
            operation.abandon(world, plan)
        return not is_finished

    def state(self):
        """Digest of what must be true and was found true."""
        world = self.world
        served = [sorted(world.versions[version].contents[world.served_deltas[version]].items())
                  for version in sorted(world.labels.values())]
        rows = [run.rows(space) for run in world.generations.values() for space in run.vocabularies]
        return digest([world.labels, world.served_deltas, sorted(world.versions), served, rows])


def digest(value):
    """Short digest of a value."""
    return hashlib.sha256(repr(value).encode()).hexdigest()[:12]


def live(seed, steps, taken=None):
    """Lives a life; returns the trace.

    Args:
      seed: of the settings.
      steps: to take.
      taken: list to which each step is added before it is taken.

    Raises:
      ViolationError: an invariant does not hold.
    """
    folder = Path(tempfile.mkdtemp(prefix="shop-", dir=scratch_parent()))
    try:
        life = Life(seed, folder)
        for step in steps:
            if taken is not None:
                taken.append(step)
            life.take(step)
        return life.trace
    finally:
        shutil.rmtree(folder, ignore_errors=True)
