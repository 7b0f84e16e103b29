"""The form of an operation: what an operator plans, calls, and then expects."""

import dataclasses

from shop import NAME


@dataclasses.dataclass(frozen=True)
class Operation:
    """One operation.

    Attributes:
      plan: (world, random) -> arguments; None: it does not apply now.
      run: (world, arguments): calls the product and changes nothing else; can be repeated.
      commit: (world, arguments): what must be true after a complete run.
      finished: (world, arguments): whether an abandoned run is complete.
      abandon: (world, arguments): what must be true after a run that was interrupted and is not repeated at once.
      faults: faults may meet it.
    """

    name: str
    plan: object
    run: object
    commit: object
    finished: object = None
    abandon: object = None
    faults: bool = True

    def targets(self, plan):
        """(folder, name) of what an interrupted run may leave unfinished."""
        folders = {"dataset": "dataset", "pretrain": "embeddings", "rank": "ranker", "index": "index"}
        if self.name in folders:
            return {("runs", f"{folders[self.name]}-{plan['number']}")}
        if self.name == "delta":
            return {(f"{plan['version']}.deltas", "full"), (f"{plan['version']}.deltas", f"{plan['delta']:06d}")}
        return {(NAME, "version")} if self.name in ("export", "compact") else set()
