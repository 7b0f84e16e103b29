"""The ``tfrs-pretrain retrain`` command of a deployment, which every scheduler runs."""

from __future__ import annotations

from collections.abc import Sequence

from tfrs_pretrain.config.deployment import Deployment
from tfrs_pretrain.errors import UserError

PROGRAM = "tfrs-pretrain"
MULTI_WORKER = "training.strategy=multi_worker"
TRAINING_STEPS = ("pretrain", "train-ranker")  # those that several workers run together


def step_names(deployment: Deployment) -> list[str]:
    """Return the steps of a round, without the promotion if there is no gate."""
    return ["dataset", "validate", *TRAINING_STEPS, "export", *(["promote"] if deployment.gate else [])]


def retrain_arguments(deployment: Deployment, end: str | None, steps: Sequence[str] = (), *, workers: int = 1
                      ) -> list[str]:
    """Return the arguments after the name of the program.

    Args:
      deployment: folders and gate.
      end: end of the round's test window, or the scheduler's expression for it; None: that of the configuration.
      steps: steps to run; empty: all.
      workers: number of workers that run the same command.
    """
    options = {"--config": deployment.config, "--raw": deployment.raw, "--rounds": deployment.rounds,
               "--models": deployment.models, "--end": end, "--sign": deployment.sign}
    if deployment.gate:
        options |= {"--gate": deployment.gate, "--label": deployment.label,
                    "--models-config": deployment.models_config or f"{deployment.models.rstrip('/')}/models.config",
                    "--server": deployment.server, "--public-key": deployment.public_key}
    overrides = [*deployment.overrides, *([MULTI_WORKER] if workers > 1 else [])]
    return ["retrain", *(f"{name}={value}" for name, value in options.items() if value is not None),
            *(f"--step={step}" for step in steps), *(["--carry-ranker"] if deployment.carry_ranker else []),
            *(f"--set={override}" for override in overrides), *deployment.beam_options]


def require_one_worker(deployment: Deployment, target: str) -> None:
    """Raises UserError for several workers, where a step is one container."""
    if deployment.workers > 1:
        raise UserError(f"workers is {deployment.workers}, but a step of {target} is one container: deploy with jobset "
                        "or vertex, or set workers to 1")
