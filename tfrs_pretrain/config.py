"""Typed configuration: one YAML file, ``--set a.b=c`` overrides, unknown keys refused.

The resolved configuration is stored with every artifact. Values that the paper (Hsu et al., RecSys 2024) does not
publish, such as temperature and learning rates, are this project's own choice.
"""

from __future__ import annotations

import copy
import datetime
import itertools
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.schema import Schema, Strict

BUNDLED = ("completejourney",)


class Window(Strict):
    """Half-open interval [start, end) of the schema's window column.

    Integers are compared with an integer column; dates and date-times (UTC) with a date or timestamp column.
    """

    start: int | datetime.datetime | datetime.date
    end: int | datetime.datetime | datetime.date

    @model_validator(mode="after")
    def _is_not_empty(self) -> Window:
        if isinstance(self.start, int) != isinstance(self.end, int):
            raise ValueError(f"start {self.start!r} and end {self.end!r} must both be integers or both be dates")
        if self.bounds[0] >= self.bounds[1]:
            raise ValueError(f"window [{self.start}, {self.end}) is empty: end must lie after start (it is exclusive)")
        return self

    @property
    def temporal(self) -> bool:
        """Whether the bounds are dates (compared in microseconds) rather than integers."""
        return not isinstance(self.start, int)

    @property
    def bounds(self) -> tuple[int, int]:
        """Start and end as integers: as given, or microseconds since 1970-01-01 UTC."""
        return _as_integer(self.start), _as_integer(self.end)

    def __str__(self) -> str:
        return f"[{self.start}, {self.end})"


def _as_integer(value: int | datetime.datetime | datetime.date) -> int:
    if isinstance(value, int):
        return value
    if not isinstance(value, datetime.datetime):
        value = datetime.datetime(value.year, value.month, value.day)
    if value.tzinfo is None:
        value = value.replace(tzinfo=datetime.UTC)
    return round((value - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)) / datetime.timedelta(microseconds=1))


class Windows(Strict):
    """Which time teaches what. Pretraining ends where ranking begins: overlap leaks ranking labels into the rows."""

    pretrain: Window
    train: Window
    validation: Window
    test: Window
    allow_overlap: bool = Field(False, description="accept a pretraining window that reaches into the ranking windows")

    @model_validator(mode="after")
    def _in_order(self) -> Windows:
        names = ("pretrain", "train", "validation", "test")
        if len({getattr(self, name).temporal for name in names}) > 1:
            raise ValueError("all windows must be integers or all must be dates")
        for before, after in itertools.pairwise(names):
            ends, starts = getattr(self, before), getattr(self, after)
            if ends.bounds[1] > starts.bounds[0] and not (before == "pretrain" and self.allow_overlap):
                hint = "; set windows.allow_overlap=true to accept it" if before == "pretrain" else ""
                raise ValueError(f"window {before} {ends} must end before window {after} {starts} starts{hint}")
        return self


SUFFIXES = {"parquet": (".parquet",), "csv": (".csv", ".csv.gz"), "avro": (".avro",),
            "jsonl": (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")}


class Source(Strict):
    """Where one input table lies and how it is written.

    Text formats carry no types: values are parsed as the schema declares the columns.
    """

    path: str | None = Field(None, description="file, folder or glob pattern (relative: starts at --raw), or the "
                                               "BigQuery table project:dataset.table")
    format: Literal["parquet", "csv", "jsonl", "avro", "bigquery"] = "parquet"
    time: Literal["timestamp", "integer"] = Field(
        "timestamp", description="what the time column holds where the format does not say: ISO 8601 or integers")
    query: str | None = Field(None, description="BigQuery: a query in standard SQL instead of a table")
    method: Literal["DIRECT_READ", "EXPORT"] = Field("DIRECT_READ", description="BigQuery: storage API or export files")

    @model_validator(mode="after")
    def _names_one_place(self) -> Source:
        if (self.path is None) == (self.query is None) or (self.query and self.format != "bigquery"):
            raise ValueError("a source needs either a path or, for format bigquery, a query")
        return self

    @classmethod
    def of(cls, declared: str | Source) -> Source:
        """A plain string is a path whose suffix tells the format, Parquet where it tells nothing."""
        if isinstance(declared, Source):
            return declared
        fits = [name for name, suffixes in SUFFIXES.items() if declared.endswith(suffixes)]
        return cls.model_validate({"path": declared, "format": fits[0] if fits else "parquet"})


class Sources(Strict):
    """The four input tables: a path (format by suffix), or a mapping that says more."""

    engagements: str | Source = "engagements.parquet"
    impressions: str | Source = "impressions.parquet"
    items: str | Source = "items.parquet"
    users: str | Source = "users.parquet"


class Duplicates(Strict):
    """Rows that repeat a key: keep them, or reject all but one into the dead letter."""

    engagements: Literal["keep", "reject"] = Field("keep", description="key: user, item, time, relation")
    impressions: Literal["keep", "reject"] = Field(
        "keep", description="key: user, item, time and the log's own features; a row with more labels set wins")


class NegativeSampling(Strict):
    """Keeps a share of the impressions whose first label is 0, chosen by hash.

    A prediction p learnt from the sample is re-calibrated as ``p / (p + (1 - p) / rate)`` (He et al., "Practical
    Lessons from Predicting Clicks on Ads at Facebook", ADKDD 2014, section 6.3).
    """

    rate: float = Field(gt=0, lt=1, description="share of the training negatives to keep")


class DatasetConfig(Strict):
    """What the Beam jobs build."""

    sources: Sources = Sources()
    max_rejected_share: float = Field(0.01, ge=0, le=1, description="share of bad rows in a log that a job accepts")
    duplicates: Duplicates = Duplicates()
    relations: dict[str, float] = Field(
        {}, description="value of schema.relation -> weight of its pairs; rows of weight 0 are left out")
    negative_sampling: NegativeSampling | None = Field(None, description="of impressions/train (null: keep all)")
    shard_bytes: int = Field(1 << 27, ge=1, description="size to aim at for a TFRecord file, before compression")
    shards: int | None = Field(None, ge=1, description="TFRecord files per split (null: as shard_bytes asks for)")
    compression: Literal["none", "gzip"] = Field("none", description="of the TFRecord files (gzip: named .gz)")
    heldout_fraction: float = Field(0.02, gt=0, lt=1, description="share of engagements kept to judge Stage I")
    impressions_format: Literal["examples", "columnar"] = Field(
        "examples", description="one tf.Example per impression, or blocks of columns (for readers of your own)")
    impressions_per_block: int = Field(4096, ge=1, description="impressions in one columnar record")
    pairs_per_block: int = Field(8192, ge=1, description="pairs in one columnar record")
    golden_examples: int = Field(256, ge=1, description="validation impressions kept with raw values, to check exports")

    @field_validator("relations")
    @classmethod
    def _weights_are_shares(cls, relations: dict[str, float]) -> dict[str, float]:
        bad = {name: weight for name, weight in relations.items() if not 0 <= weight < float("inf")}
        if bad or (relations and not any(relations.values())):
            raise ValueError("weights must be finite and at least 0, and one above 0")
        # A relation's number is its place: it must not depend on the order in a file, which JSON does not keep.
        return dict(sorted(relations.items()))


class CompleteJourneyConfig(Strict):
    """How the demo turns the completejourney purchases and promotions into logs."""

    negatives_per_positive: int = Field(8, ge=1, description="promoted, not bought products per bought one")
    max_households: int | None = Field(None, ge=1, description="keep only this many households (null: all)")


class TrainingConfig(Strict):
    """Devices and reproducibility, for both stages."""

    strategy: Literal["auto", "one_device", "mirrored", "multi_worker"] = Field(
        "auto", description="auto: a replica on each GPU of this machine; multi_worker: on the machines of TF_CONFIG, "
                            "Stage I only")
    logical_cpus: int = Field(1, ge=1, description="devices to split the CPU into, to try replicas without GPUs")
    deterministic: bool = Field(True, description="same numbers from the same seed on one device")
    checkpoint_every_steps: int | None = Field(
        None, ge=1, description="Stage I: steps between checkpoints, beside the one after each epoch (null: none)")
    checkpoint_every_seconds: float | None = Field(
        600, gt=0, description="Stage I: seconds between checkpoints within an epoch (null: none)")
    keep_checkpoints: int = Field(2, ge=1, description="how many of the newest checkpoints to keep while training")
    tensorboard: str | None = Field(None, description="Stage I: folder for TensorBoard's event files (null: none)")

    @model_validator(mode="after")
    def _strategy_uses_the_cpus(self) -> TrainingConfig:
        if self.logical_cpus > 1 and self.strategy in ("one_device", "multi_worker"):
            raise ValueError(f"strategy {self.strategy!r} takes one CPU a process, not logical_cpus "
                             f"{self.logical_cpus}: set logical_cpus to 1, or strategy to mirrored")
        return self


class PretrainingConfig(Strict):
    """Stage I: two bare ID lookups, a dot product, a contrastive loss."""

    dim: int = Field(64, ge=1, description="columns of the user and item tables")
    epochs: int = Field(6, ge=0)
    batch_size: int = Field(2048, ge=2, description="pairs per step over all replicas")
    objective: Literal["softmax", "cosine_contrastive"] = "softmax"
    negatives: Literal["in_batch", "mixed", "uniform"] = Field(
        "in_batch", description="other pairs' items, uniform draws from the corpus, or both")
    uniform_negatives: int = Field(0, ge=0, description="draws per step over all replicas, for mixed and uniform")
    temperature: float = Field(0.07, gt=0, description="divides the similarity")
    learn_temperature: bool = Field(False, description="start from temperature and learn it with the tables")
    margin: float = Field(0.4, ge=-1, lt=1, description="cosine_contrastive: cosine up to which a negative is free")
    negative_weight: float = Field(50.0, gt=0, description="cosine_contrastive: weight of the mean over negatives")
    mask_known_positives: bool = Field(False, description="keep the user's other training items out of the negatives")
    normalize: bool = Field(True, description="L2-normalise both embeddings before the dot product")
    log_q: bool = Field(True, description="subtract log sampling probability from the logits (Yi et al., RecSys 2019)")
    log_q_form: Literal["classic", "refined"] = Field(
        "classic", description="refined: the positive is certain, not sampled (arXiv 2507.09331)")
    remove_accidental_hits: bool = Field(True, description="drop in-batch negatives equal to the positive item")
    optimizer: Literal["lazy_adam", "rowwise_adagrad", "adagrad"] = "lazy_adam"
    learning_rate: float = Field(2e-3, gt=0, description="of both tables, at the first step")
    schedule: Literal["constant", "linear", "cosine"] = Field(
        "linear", description="of the learning rate: linear and cosine fall to 0")
    warmup_steps: int = Field(0, ge=0, description="steps over which the learning rate first grows")
    embedding_l2: float = Field(0.0, ge=0, description="L2 penalty on the rows of a batch")
    l2_rarity_power: float = Field(
        0.0, ge=0, le=1, description="how much stronger it is for rows in few batches: 1 evens out their absence")
    initial_scale: float = Field(0.05, gt=0, description="standard deviation of the initial rows")
    recall_at: tuple[int, ...] = Field((10, 50), description="cut-offs of full-corpus recall on held-out pairs")
    max_queries: int = Field(2000, ge=1, description="held-out users scored against the whole corpus each epoch")

    @model_validator(mode="after")
    def _is_an_objective(self) -> PretrainingConfig:
        if (self.negatives == "in_batch") != (self.uniform_negatives == 0):
            raise ValueError(f"negatives {self.negatives!r} and uniform_negatives {self.uniform_negatives} do not fit: "
                             "in_batch needs 0 draws, mixed and uniform at least 1")
        if self.objective == "cosine_contrastive" and self.negatives != "uniform":
            raise ValueError(f"objective cosine_contrastive needs negatives 'uniform', not {self.negatives!r}")
        if self.objective == "cosine_contrastive" and (self.learn_temperature or not self.normalize):
            raise ValueError("objective cosine_contrastive has no temperature and is always normalized: leave "
                             "learn_temperature false and normalize true")
        if self.log_q_form == "refined" and not (self.log_q and self.remove_accidental_hits):
            raise ValueError("log_q_form 'refined' needs log_q and remove_accidental_hits")
        return self


class DistillationConfig(Strict):
    """Online distillation: a larger teacher learns in the same step as the student it teaches."""

    weight: float = Field(0.3, ge=0, le=1, description="share of the teacher in the student loss")
    temperature: float = Field(1.0, gt=0, description="softens teacher and student logits")
    warmup_steps: int = Field(0, ge=0, description="steps over which weight grows from 0")
    hidden: tuple[int, ...] = Field((256, 128), description="layers of the teacher's network")
    privileged: bool = Field(True, description="let the teacher see features that serving lacks")


class ArmConfig(Strict):
    """One way to train the ranker."""

    transfer: Literal["scratch", "warm_start"] = "scratch"
    pretrained_learning_rate_scale: float = Field(
        0.1, gt=0, description="learning rate of warm-started tables relative to table_learning_rate")
    distillation: DistillationConfig | None = None


class RankingConfig(Strict):
    """Stage II: the ranking model and the arms that are compared."""

    hidden: tuple[int, ...] = Field((128, 64), description="layers of the served network")
    feature_dim: int = Field(16, ge=1, description="columns of a categorical feature's table")
    id_dim: int = Field(64, ge=1, description="columns of the ID tables; a warm start needs the pretraining's")
    epochs: int = Field(1, ge=1)
    batch_size: int = Field(1024, ge=1, description="impressions per step over all replicas")
    learning_rate: float = Field(3e-3, gt=0, description="of the dense layers (Adam)")
    table_learning_rate: float = Field(5e-3, gt=0, description="of the embedding tables")
    table_optimizer: Literal["lazy_adam", "rowwise_adagrad", "adagrad"] = "lazy_adam"
    initial_scale: float = Field(0.05, gt=0, description="standard deviation of rows that start at random")
    similarity: Literal["none", "dot", "cosine"] = Field(
        "cosine", description="similarity of the user and item rows, given to the network beside the rows")
    arms: dict[str, ArmConfig]


class ExportConfig(Strict):
    """What is served."""

    arm: str = Field(description="arm of ranking.arms whose model is exported")
    tolerance: float = Field(1e-5, gt=0, description="largest difference allowed between served and trained scores")


class Config(Strict):
    """Everything that decides a run."""

    name: str = Field(pattern=r"^[A-Za-z0-9_.-]+$", description="model name: the folder under saved_models/")
    seed: int = Field(17, ge=0)
    schema_: Schema = Field(alias="schema")
    windows: Windows
    completejourney: CompleteJourneyConfig = CompleteJourneyConfig()
    dataset: DatasetConfig = DatasetConfig()
    training: TrainingConfig = TrainingConfig()
    pretraining: PretrainingConfig = PretrainingConfig()
    ranking: RankingConfig
    export: ExportConfig

    @field_validator("ranking")
    @classmethod
    def _has_arms(cls, ranking: RankingConfig) -> RankingConfig:
        if not ranking.arms:
            raise ValueError("ranking.arms is empty: name at least one arm")
        return ranking

    @model_validator(mode="after")
    def _parts_fit(self) -> Config:
        if self.export.arm not in self.ranking.arms:
            raise ValueError(f"export.arm {self.export.arm!r} is not one of ranking.arms {sorted(self.ranking.arms)}")
        if bool(self.schema_.relation) != bool(self.dataset.relations):
            raise ValueError("schema.relation and dataset.relations go together: name the column and weigh its values, "
                             "or neither")
        warm = [name for name, arm in self.ranking.arms.items() if arm.transfer == "warm_start"]
        if warm and self.ranking.id_dim != self.pretraining.dim:
            raise ValueError(f"ranking.id_dim {self.ranking.id_dim} must equal pretraining.dim {self.pretraining.dim} "
                             f"because {warm} start from the pretrained rows")
        return self

    def resolved(self) -> dict[str, Any]:
        """Plain JSON types with every default filled in, as stored beside artifacts."""
        return self.model_dump(mode="json", by_alias=True)


def load_config(source: str, overrides: Sequence[str] = ()) -> Config:
    """Reads a YAML file (or a bundled configuration by name) and applies ``a.b=c`` overrides, values read as YAML.

    Raises:
      UserError: the file is missing or not YAML, a key is unknown, or a value is out of its range.
    """
    return parse_config(_read_yaml(source), overrides, origin=source)


def parse_config(tree: dict[str, Any], overrides: Sequence[str] = (), *, origin: str) -> Config:
    """The same for a tree that is already read, such as the resolved configuration stored with an artifact.

    Raises:
      UserError: a key is unknown or a value is out of its range; the message names ``origin``.
    """
    tree = copy.deepcopy(tree)
    for override in overrides:
        _apply(tree, override)
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        raise UserError(_one_line(origin, error)) from error


def _read_yaml(source: str) -> dict[str, Any]:
    if source in BUNDLED:
        text = resources.files("tfrs_pretrain.configs").joinpath(f"{source}.yaml").read_text()
    else:
        try:
            text = Path(source).read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"configuration {source!r} cannot be read ({error}): give a YAML file, or one of the "
                            f"bundled {list(BUNDLED)}") from error
    try:
        tree = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(f"configuration {source!r} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(tree, dict):
        raise UserError(f"configuration {source!r} must be a mapping of sections, not {type(tree).__name__}")
    return tree


def _apply(tree: dict[str, Any], override: str) -> None:
    path, equals, text = override.partition("=")
    if not equals or not path:
        raise UserError(f"--set {override!r}: write it as section.key=value")
    *parents, leaf = path.strip().split(".")
    node = tree
    for parent in parents:
        node = node.setdefault(parent, {})
        if not isinstance(node, dict):
            raise UserError(f"--set {override!r}: {parent!r} holds a value, not a section")
    try:
        node[leaf] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(f"--set {override!r}: the value is not YAML") from error


def first_difference(one: Any, other: Any, path: str = "") -> str | None:
    """Dotted key of the first value in which two resolved configurations differ, with both values; None if equal."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(one.keys() | other.keys()):
            found = first_difference(one.get(key), other.get(key), f"{path}.{key}" if path else key)
            if found:
                return found
        return None
    return None if one == other else f"{path} ({one!r} there, {other!r} here)"


def _one_line(source: str, error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or "configuration"
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if first["type"] == "extra_forbidden":
        return f"configuration {source!r}: unknown key {where!r}; `tfrs-pretrain config` prints every key{more}"
    came = "" if isinstance(first["input"], dict) else f", not {first['input']!r}"
    return f"configuration {source!r}: {where}: {first['msg'].removeprefix('Value error, ')}{came}{more}"
