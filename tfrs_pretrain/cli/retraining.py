"""Commands of repeated training: retrain, and deploy, which writes the files of schedulers that run it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from tfrs_pretrain.cli.application import REFUSED, app
from tfrs_pretrain.cli.joins import show_joins
from tfrs_pretrain.cli.options import (
    ConfigOption,
    PublicKeyOption,
    ServerOption,
    SetOption,
    SignOption,
    WaitOption,
    open_signer,
)
from tfrs_pretrain.cli.summary import show_built
from tfrs_pretrain.config import load_config
from tfrs_pretrain.config.deployment import load_deployment
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.progress import error_console
from tfrs_pretrain.quiet import quiet_imports

Target = Literal["vertex", "kubeflow", "jobset", "airflow"]
EndOption = Annotated[str | None, typer.Option(
    metavar="DATE", help="exclusive end of the test window; all windows of the configuration move with it (default: as "
                         "they are)")]


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def retrain(
    context: typer.Context,
    rounds: Annotated[Path, typer.Option(help="folder of all rounds of this model; the round gets ROUNDS/<end>")],
    # Text, not a path: it may be a URL.
    raw: Annotated[str, typer.Option(help="folder that dataset.sources are relative to")] = ".",
    models: Annotated[Path | None, typer.Option(
        help="folder of model folders (default: that of AIP_MODEL_DIR on Vertex AI, otherwise saved_models)")] = None,
    end: EndOption = None,
    previous: Annotated[str | None, typer.Option(
        metavar="ROUND", help="round to start from, or none (default: the newest one that ended earlier)")] = None,
    steps: Annotated[list[str] | None, typer.Option(
        "--step", metavar="STEP", help="run only this step; repeatable: dataset, validate, pretrain, train-ranker, "
                                       "export, promote (default: all)")] = None,
    carry_ranker: Annotated[bool, typer.Option(
        "--carry-ranker", help="start the ranker from that of the round before, beside its pretrained rows")] = False,
    gate: Annotated[str | None, typer.Option(
        help="YAML file with the requirements on the version (default: it is exported and not promoted)")] = None,
    label: Annotated[str, typer.Option(help="label that moves to an accepted version in --models-config")] = "canary",
    models_config: Annotated[Path | None, typer.Option(
        help="TF Serving's file of models and their labels (default: models.config in the folder of models)")] = None,
    server: ServerOption = None,
    wait: WaitOption = 120.0,
    sign: SignOption = None,
    public_key: PublicKeyOption = None,
    config: ConfigOption = "completejourney",
    overrides: SetOption = None,
) -> None:
    """Runs one round of training on moved windows: dataset, Stage I, Stage II, export, promotion.

    Starts from the round before: ids keep their rows, Stage I its rows. The same command continues a round that was
    stopped; steps that have finished are kept. With training.strategy multi_worker, every worker runs the same command
    on shared folders. Options that are not listed here are passed to
    the Beam jobs, such as --runner or the limits of `validate_examples`. Exit code 3: the dataset differs too much
    from that of the round before, or the gate refuses the version.
    """
    settings = load_config(config, overrides or ())
    if end is not None:
        try:
            settings = settings.model_copy(update={"windows": settings.windows.ending(end)})
        except ValueError as error:
            raise UserError(f"--end {error}") from error
    with quiet_imports():
        from tfrs_pretrain.config.gate import load_gate
        from tfrs_pretrain.retraining.gated_promotion import GateRefusedError, PromotionSettings
        from tfrs_pretrain.retraining.round_folder import join_round, open_round
        from tfrs_pretrain.retraining.steps import DatasetDriftError, RoundSettings, check_steps, run_round
        from tfrs_pretrain.training.cluster import adopt_cluster
        from tfrs_pretrain.vertex_environment import model_folder
    names = check_steps(steps or ())
    models = models or model_folder() or Path("saved_models")
    promotion = PromotionSettings(load_gate(gate), label, models_config or models / "models.config", server, wait,
                                  public_key) if gate else None
    if promotion is None and steps and "promote" in steps:
        raise UserError("--step promote needs --gate FILE")
    worker = adopt_cluster() if settings.training.strategy == "multi_worker" else 0
    opened = join_round(rounds, settings) if worker else open_round(rounds, settings, previous)
    try:
        run_round(opened, RoundSettings(
            raw, models, carry_ranker, beam_options=context.args, promotion=promotion, worker=worker,
            signer=open_signer(sign), show_dataset=_show_dataset), names)
    except (DatasetDriftError, GateRefusedError) as error:
        error_console.print(f"refused: {error}", soft_wrap=True)
        raise typer.Exit(REFUSED) from error


def _show_dataset(info: dict[str, Any]) -> None:
    show_built(info)
    show_joins(info)


@app.command()
def deploy(
    target: Annotated[Target, typer.Argument(help="the scheduler")],
    deployment: Annotated[str, typer.Option(help="YAML file with image, folders and machines")],
    config: ConfigOption = "completejourney",
    overrides: SetOption = None,
    end: EndOption = None,
) -> None:
    """Prints the file by which a scheduler runs `retrain`: a job of Vertex AI, a KFP pipeline, a JobSet, a DAG.

    ```sh
    tfrs-pretrain deploy vertex --config shop.yaml --deployment production.yaml --end 2024-04-04 > job.yaml
    ```
    """
    from tfrs_pretrain.deploying.airflow import airflow_dag
    from tfrs_pretrain.deploying.jobset import jobset
    from tfrs_pretrain.deploying.kubeflow import kubeflow_pipeline
    from tfrs_pretrain.deploying.vertex import vertex_job

    settings, place = load_config(config, overrides or ()), load_deployment(deployment)
    writers = {"vertex": vertex_job, "kubeflow": kubeflow_pipeline, "jobset": jobset, "airflow": airflow_dag}
    typer.echo(writers[target](settings, place, end), nl=False)
