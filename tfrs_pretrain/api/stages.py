"""The stages as functions. Each imports its stage when it is called, because TensorFlow and Beam load slowly."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tfrs_pretrain.api.arguments import (
    ConfigLike,
    DatasetLike,
    PathLike,
    as_dataset,
    load_config,
    optional_path,
    run_config,
)
from tfrs_pretrain.artifact_names import DATASET_KIND, IMPRESSIONS_KIND
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.embeddings.artifact import Embeddings
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.output_folders import refuse_remote
from tfrs_pretrain.tracking.stage import track

if TYPE_CHECKING:
    import keras

    from tfrs_pretrain.evaluation.evaluate import Evaluation
    from tfrs_pretrain.pretraining.result import PretrainResult
    from tfrs_pretrain.ranking.trained_arm import TrainedArm
    from tfrs_pretrain.serving.exporting.report import ExportedVersion


def build_dataset(config: ConfigLike, raw: PathLike, output: PathLike, *, overrides: Sequence[str] = (),
                  extend: DatasetLike | None = None, beam_options: Sequence[str] = (), overwrite: bool = False
                  ) -> Dataset:
    """Builds a dataset from logs: vocabularies, training pairs of Stage I, impressions of Stage II.

    Beam runs in this process unless ``beam_options`` names another runner. For folders on an object store, call
    ``beam_pipelines.build_dataset.build``.

    Args:
      config: a YAML file, the name of a bundled configuration, a mapping, or a ``Config``.
      raw: folder that the relative paths in ``dataset.sources`` start from.
      output: folder to write.
      overrides: changes of single keys, such as ``["dataset.shards=4"]``.
      extend: an earlier dataset, or its folder. Its ids keep their rows; new ids are appended.
      beam_options: options of Beam, such as ``["--direct_num_workers=2"]``.
      overwrite: replace the content of ``output``.

    Returns:
      the dataset, opened.

    Raises:
      UserError: the configuration is invalid, a table or column is missing or has another type, a window is empty, too
        many rows are bad, or ``output`` is not empty.
    """
    from beam_pipelines.build_dataset import build

    output = Path(output)
    refuse_remote(output)
    extending = [] if extend is None else [f"--extend={as_dataset(extend).folder}"]
    settings, earlier = load_config(config, overrides), extending[0].partition("=")[2] if extending else None
    with track(settings, "dataset", output, raw=Path(raw), extend=earlier):
        build(settings, Path(raw), output, [*beam_options, *extending], overwrite)
    return Dataset.open(output)


def pretrain(dataset: DatasetLike, output: PathLike, *, config: ConfigLike | None = None,
             overrides: Sequence[str] = (), start_from: Embeddings | PathLike | None = None, overwrite: bool = False
             ) -> PretrainResult:
    """Stage I: trains the ID embeddings with a contrastive loss and writes them as an artifact.

    The same call continues a run that was interrupted, and returns the result of a run that has finished.

    Args:
      dataset: a dataset, or its folder.
      output: folder to write; ``Embeddings.open`` reads it.
      config: configuration of the run (default: the one that the dataset was built with).
      overrides: changes of single keys, such as ``["pretraining.epochs=3"]``.
      start_from: earlier embeddings, or their folder. The ids in them start from their rows, other ids at random.
      overwrite: replace the content of ``output``.

    Returns:
      metrics of each epoch, seconds, and what the run was made with.

    Raises:
      UserError: the configuration is invalid or does not fit the dataset, ``output`` contains another run, the tables
        do not fit the devices, the data is damaged, or the loss is not finite.
    """
    from tfrs_pretrain.pretraining.run import pretrain as run

    opened = as_dataset(dataset)
    settings, earlier = run_config(opened, config, overrides), _folder(start_from)
    with track(settings, "pretrain", Path(output), dataset=opened.folder, start_from=earlier):
        return run(settings, opened, Path(output), start_from=earlier, overwrite=overwrite)


def train_ranker(dataset: DatasetLike, output: PathLike, *, arm: str | None = None,
                 embeddings: Embeddings | PathLike | None = None, config: ConfigLike | None = None,
                 overrides: Sequence[str] = (), overwrite: bool = False, test: bool = True,
                 baseline: PathLike | None = None, start_from: PathLike | None = None,
                 start_from_dataset: PathLike | None = None, network: keras.layers.Layer | None = None) -> TrainedArm:
    """Stage II: trains and evaluates one arm of the ranking model and writes it as an artifact.

    The same call continues a run that was interrupted, and returns the result of a run that has finished.

    Args:
      dataset: a dataset, or its folder.
      output: folder to write.
      arm: entry of ``ranking.arms`` (default: ``export.arm``).
      embeddings: pretrained rows, or their folder; required by arms that start from them.
      config: configuration of the run (default: the one that the dataset was built with).
      overrides: changes of single keys, such as ``["ranking.epochs=1"]``.
      overwrite: replace the content of ``output``.
      test: score the test impressions. Pass False while you choose settings.
      baseline: ranker from scratch that an arm with pretrained rows is compared with on validation (default: the best
        one in a folder beside ``output``, of the same dataset and settings).
      start_from: folder of an earlier ranker. Dense weights and the rows of its ids start there.
      start_from_dataset: folder of the dataset that it was trained on (default: ``dataset``).
      network: a Keras 3 model or layer of your own, in the place of ``ranking.network`` and ``ranking.backbone``. It
        maps a dict of features and masks to logits, float [batch, heads]. The artifact records its configuration
        (``get_config``) and not the class, so its class must be importable. Its weights are not used: training starts
        from weights drawn from ``config.seed``, or from those of ``start_from``.

    Returns:
      metrics by split, such as ``metrics["test"]["auc"]``, of the epoch that was kept, and the course of training.

    Raises:
      UserError: the configuration is invalid or does not fit the dataset, the arm is unknown, its embeddings are
        missing or do not fit, ``output`` contains another run, ``baseline`` cannot be compared with, ``network`` does
        not fit the features or cannot be rebuilt or exported, the data is damaged, or a loss is not finite.
    """
    from tfrs_pretrain.ranking.benefit.scratch_ranker import find_scratch_ranker
    from tfrs_pretrain.ranking.run import train_arm

    opened = as_dataset(dataset)
    settings = run_config(opened, config, overrides)
    if network is not None:
        from tfrs_pretrain.ranking.model.serialization import with_network

        settings = with_network(settings, network)
    scratch = _folder(baseline) or find_scratch_ranker(Path(output), opened, settings)
    rows, earlier = _folder(embeddings), optional_path(start_from)
    with track(settings, "train-ranker", Path(output), dataset=opened.folder, embeddings=rows, start_from=earlier):
        return train_arm(settings, opened, arm or settings.export.arm, Path(output), embeddings=rows, scratch=scratch,
                         overwrite=overwrite, test=test, start_from=earlier,
                         start_from_dataset=optional_path(start_from_dataset))


def evaluate(model: PathLike, against: PathLike | None = None, *, split: str = "test", label: str = "label",
             slices: Sequence[str] = (), datasets: Sequence[DatasetLike] = (), replicates: int = 1000,
             confidence: float = 0.95, seed: int = 17) -> Evaluation:
    """Evaluates a model, or compares two, with confidence intervals from a bootstrap over users.

    Args:
      model: a ranker folder, or an exported version whose ranker folder still exists.
      against: the model to compare with; differences are ``model`` minus ``against``.
      split: "validation" or "test".
      label: the label of the ranker to evaluate.
      slices: categorical features to slice by, in addition to item frequency, new items and new users.
      datasets: datasets whose impressions are scored (default: the predictions stored with the model). Each model
        scores the first one that was built with its own vocabularies.
      replicates: number of times that all users are drawn.
      confidence: nominal coverage of the intervals, between 0 and 1.
      seed: of the draws.

    Returns:
      estimates on all impressions first, then on each slice.

    Raises:
      UserError: a model cannot be opened, compared or sliced, or a setting is out of its range.
    """
    from tfrs_pretrain.evaluation import evaluate as evaluation
    from tfrs_pretrain.evaluation.bootstrap import Resampling
    from tfrs_pretrain.evaluation.predictions import Predictions, Reader

    try:
        resampling = Resampling(replicates, confidence, seed)
    except ValueError as error:
        raise UserError(f"{error}: correct the arguments") from error
    read: Reader = Predictions.open
    if datasets:
        from tfrs_pretrain.ranking.rescore import scoring

        read = scoring([given if isinstance(given, Dataset) else Dataset.open(
            Path(given), (DATASET_KIND, IMPRESSIONS_KIND)) for given in datasets])
    return evaluation.evaluate(Path(model), optional_path(against), split=split, label=label, slices=slices,
                               resampling=resampling, read=read)


def export(dataset: DatasetLike, ranker: PathLike, models: PathLike = "saved_models", *,
           config: ConfigLike | None = None, overrides: Sequence[str] = ()) -> ExportedVersion:
    """Writes the next version of a model for TensorFlow Serving, checked against the trained model's scores.

    Args:
      dataset: the dataset on which the ranker was trained, or its folder.
      ranker: output folder of ``train_ranker``.
      models: TensorFlow Serving's folder of models: the version is ``models/<config.name>/<version>``.
      config: configuration of the export (default: the one that the dataset was built with).
      overrides: changes of single keys, such as ``["export.table_dtype=float16"]``.

    Returns:
      path and number of the version, and the results of the checks.

    Raises:
      UserError: the configuration is invalid, the ranker does not fit the dataset, or a check failed.
    """
    from tfrs_pretrain.serving.exporting.export import export as run

    opened = as_dataset(dataset)
    settings = run_config(opened, config, overrides)
    with track(settings, "export", Path(models) / settings.name, dataset=opened.folder, ranker=Path(ranker)) as tracked:
        exported = run(settings, opened, Path(ranker), Path(models))
        tracked.output = exported.path
    return exported


def _folder(artifact: Embeddings | PathLike | None) -> Path | None:
    return artifact.folder if isinstance(artifact, Embeddings) else optional_path(artifact)
