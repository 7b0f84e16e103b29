"""What the Beam jobs read and build."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from tfrs_pretrain.strict_model import StrictModel

SUFFIXES = {"parquet": (".parquet",), "csv": (".csv", ".csv.gz"), "avro": (".avro",),
            "jsonl": (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")}


class Source(StrictModel):
    """Where one input table lies and how it is written.

    Text formats carry no types: values are parsed as the schema declares the columns.
    """

    path: str | None = Field(None, description="file, folder or glob pattern (relative: starts at --raw), or the "
                                               "BigQuery table project:dataset.table")
    format: Literal["parquet", "csv", "jsonl", "avro", "bigquery"] = Field("parquet", description="how it is written")
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
    def from_declared(cls, declared: str | Source) -> Source:
        """A plain string is a path whose suffix tells the format, Parquet where it tells nothing."""
        if isinstance(declared, Source):
            return declared
        fits = [name for name, suffixes in SUFFIXES.items() if declared.endswith(suffixes)]
        return cls.model_validate({"path": declared, "format": fits[0] if fits else "parquet"})


class Sources(StrictModel):
    """The four input tables: a path (format by suffix), or a mapping that says more."""

    engagements: str | Source = Field("engagements.parquet", description="users did something with items: Stage I")
    impressions: str | Source = Field("impressions.parquet", description="items shown to users, with labels: Stage II")
    items: str | Source = Field("items.parquet", description="features of items, a row an item")
    users: str | Source = Field("users.parquet", description="features of users, a row a user")


class Duplicates(StrictModel):
    """Rows that repeat a key: keep them, or reject all but one into the dead letter."""

    engagements: Literal["keep", "reject"] = Field("keep", description="key: user, item, time, relation")
    impressions: Literal["keep", "reject"] = Field(
        "keep", description="key: user, item, time and the log's own features; a row with more labels set wins")


class NegativeSampling(StrictModel):
    """Keeps a share of the impressions whose first label is 0, chosen by hash.

    The ranker learns with its logits shifted by the rate, so that what it predicts is calibrated for all impressions. A
    prediction p learnt without that is re-calibrated as ``p / (p + (1 - p) / rate)`` (He et al., "Practical Lessons
    from Predicting Clicks on Ads at Facebook", ADKDD 2014, section 6.3).
    """

    rate: float = Field(gt=0, lt=1, description="share of the training negatives to keep")


class DatasetConfig(StrictModel):
    """What the Beam jobs build."""

    sources: Sources = Field(Sources(), description="where the four tables lie")
    max_rejected_share: float = Field(0.01, ge=0, le=1, description="share of bad rows in a log that a job accepts")
    duplicates: Duplicates = Field(Duplicates(), description="what happens to rows that repeat a key")
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
