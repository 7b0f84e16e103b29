"""Configuration of the Beam jobs: sources of the logs and layout of the dataset."""

from __future__ import annotations

import zoneinfo
from typing import Literal

from pydantic import Field, field_validator, model_validator

from tfrs_pretrain.config.conditions import ConditionText
from tfrs_pretrain.config.packaged import Settings, require_installed
from tfrs_pretrain.names import ColumnName
from tfrs_pretrain.own_code import SOURCES
from tfrs_pretrain.strict_model import StrictModel

TimeUnit = Literal["s", "ms", "us", "ns"]
TimeResolution = Literal["second", "minute", "hour", "day"]
_COMPRESSIONS = ("", ".gz", ".bz2", ".zst")
_TEXTS = {"csv": (".csv",), "tsv": (".tsv",), "jsonl": (".jsonl", ".ndjson")}
SUFFIXES: dict[str, tuple[str, ...]] = {"parquet": (".parquet",), "avro": (".avro",)} | {
    name: tuple(f"{suffix}{compression}" for suffix in suffixes for compression in _COMPRESSIONS)
    for name, suffixes in _TEXTS.items()}
SNAPSHOT_FORMATS = ("iceberg", "delta")
FORMATS = (*SUFFIXES, *SNAPSHOT_FORMATS, "bigquery")


class Source(StrictModel):
    """Path and format of one input table.

    Text formats have no types: values are parsed as the schema declares the columns.
    """

    path: str | None = Field(None, description="file, folder (with its folders) or glob pattern (relative to --raw), "
                                               "the BigQuery table project:dataset.table, the Iceberg table "
                                               "namespace.table, or the folder or URL of a Delta Lake table")
    format: str = Field(
        "parquet", description="parquet, csv, tsv, jsonl, avro, iceberg, delta or bigquery, or the entry point of an "
                               "installed package in group tfrs_pretrain.sources; csv, tsv and jsonl may be "
                               "compressed: .gz, .bz2, .zst")
    snapshot: int | None = Field(None, description="iceberg, delta: snapshot id or version to read (null: the current "
                                                   "one, which the dataset then records)")
    catalog: dict[str, str] = Field({}, description="iceberg: properties of pyiceberg's catalog, such as type and uri; "
                                                    "name: of a catalog in .pyiceberg.yaml. Stored with the dataset: "
                                                    "put credentials into PYICEBERG_CATALOG__* variables")
    settings: Settings = Field({}, description="entry points: arguments of the class or function")
    delimiter: str | None = Field(
        None, description="csv, tsv: one character between fields (null: a comma, for tsv a tab)")
    encoding: str | None = Field(
        None, description="csv, tsv: encoding of the text, such as latin-1, cp1252 or utf-16 (null: UTF-8)")
    time: Literal["timestamp", "integer"] = Field(
        "timestamp", description="type of the time column in formats without types: ISO 8601 or integers")
    time_unit: TimeUnit | None = Field(
        None, description="unit of integer times, counted from 1970-01-01 UTC (null: they are compared as they are)")
    time_zone: str | None = Field(
        None, description="zone of dates and of times without one: an IANA name such as Europe/Berlin (null: UTC)")
    time_resolution: TimeResolution | None = Field(
        None, description="times are rounded down to it: an engagement enters histories after the end of its day, "
                          "hour, minute or second (null: dates are days, other times exact)")
    where: ConditionText | None = Field(
        None, description="logs: read only the rows in which this is true, such as rating >= 4 or event == purchase")
    labels: dict[ColumnName, ConditionText] = Field(
        {}, description="impressions: labels that are computed from other columns, such as liked: rating >= 4; 1 where "
                        "it is true")
    query: str | None = Field(None, description="BigQuery: a query in standard SQL instead of a table")
    method: Literal["DIRECT_READ", "EXPORT"] = Field("DIRECT_READ", description="BigQuery: storage API or export files")

    @field_validator("format")
    @classmethod
    def _format_exists(cls, format: str) -> str:
        if format not in FORMATS:
            require_installed(format, SOURCES, FORMATS, "format")
        return format

    @field_validator("time_zone")
    @classmethod
    def _zone_exists(cls, zone: str | None) -> str | None:
        if zone is not None and zone not in zoneinfo.available_timezones():
            raise ValueError(f"{zone!r} is not the IANA name of a time zone, such as Europe/Berlin or UTC")
        return zone

    @field_validator("delimiter")
    @classmethod
    def _delimiter_is_one_character(cls, delimiter: str | None) -> str | None:
        if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n\0'):
            raise ValueError(f"a delimiter is one character, no quote and no line end, not {delimiter!r}")
        return delimiter

    @field_validator("encoding")
    @classmethod
    def _encoding_exists(cls, encoding: str | None) -> str | None:
        try:
            "".encode(encoding or "utf-8")
        except LookupError as error:
            raise ValueError(f"{encoding!r} is not the name of a text encoding, such as utf-8, latin-1, cp1252 or "
                             "utf-16") from error
        return encoding

    @model_validator(mode="after")
    def _text_settings_have_a_text(self) -> Source:
        if self.format not in ("csv", "tsv") and (self.delimiter or self.encoding):
            raise ValueError(f"delimiter and encoding belong to the formats csv and tsv, not to {self.format}")
        return self

    @model_validator(mode="after")
    def _snapshots_have_a_table(self) -> Source:
        if self.snapshot is not None and self.format not in SNAPSHOT_FORMATS:
            raise ValueError(f"snapshot belongs to the formats iceberg and delta, not to {self.format}")
        if self.catalog and self.format != "iceberg":
            raise ValueError(f"catalog belongs to the format iceberg, not to {self.format}")
        return self

    @property
    def csv_delimiter(self) -> str:
        """The character between fields of csv and tsv."""
        return self.delimiter or ("\t" if self.format == "tsv" else ",")

    @model_validator(mode="after")
    def _names_one_place(self) -> Source:
        if self.is_packaged:
            if self.query:
                raise ValueError(f"query belongs to the format bigquery: put a query for {self.format} into settings")
            return self
        if self.settings:
            raise ValueError(f"settings belong to the source of an installed package, not to format {self.format}")
        if (self.path is None) == (self.query is None) or (self.query and self.format != "bigquery"):
            raise ValueError("a source needs either a path or, for format bigquery, a query")
        return self

    @property
    def is_packaged(self) -> bool:
        """Whether an entry point of an installed package reads the table."""
        return self.format not in FORMATS

    @classmethod
    def from_declared(cls, declared: str | Source) -> Source:
        """Completes a plain string, a path whose suffix names the format (without a known suffix: Parquet)."""
        if isinstance(declared, Source):
            return declared
        formats = [name for name, suffixes in SUFFIXES.items() if declared.endswith(suffixes)]
        return cls.model_validate({"path": declared, "format": formats[0] if formats else "parquet"})


class Sources(StrictModel):
    """The four input tables: a path (format by suffix), or a mapping with more settings."""

    engagements: str | Source = Field("engagements.parquet", description="engagements of users with items: Stage I")
    impressions: str | Source = Field("impressions.parquet", description="items shown to users, with labels: Stage II")
    items: str | Source = Field("items.parquet", description="features of items, one row for each")
    users: str | Source = Field("users.parquet", description="features of users, one row for each")

    @model_validator(mode="after")
    def _conditions_are_of_logs(self) -> Sources:
        for name in type(self).model_fields:
            source = Source.from_declared(getattr(self, name))
            if source.labels and name != "impressions":
                raise ValueError(f"{name}.labels: only impressions have labels")
            if source.where and name in ("items", "users"):
                raise ValueError(f"{name}.where: only engagements and impressions are selected; a side table may have "
                                 "rows that are not used")
        return self


class Duplicates(StrictModel):
    """Handling of rows that repeat a key: keep them, or reject all but one into the dead letter."""

    engagements: Literal["keep", "reject"] = Field("keep", description="key: user, item, time, relation")
    impressions: Literal["keep", "reject"] = Field(
        "keep", description="key: user, item, time and the log's own features; a row with more labels set wins")


class NegativeSampling(StrictModel):
    """Keeps a share of the impressions whose first label is 0, chosen by hash.

    The ranker is trained with logits shifted by the rate, so that its predictions are calibrated for all impressions. A
    prediction p of a model trained without this shift is recalibrated as ``p / (p + (1 - p) / rate)`` (He et al.,
    "Practical Lessons from Predicting Clicks on Ads at Facebook", ADKDD 2014, section 6.3).
    """

    rate: float = Field(gt=0, lt=1, description="share of the training negatives to keep")


class ImplicitFeedback(StrictModel):
    """For logs of what users did without what they were shown: adds sampled negatives to each positive.

    The table of impressions then contains positives only. Each becomes an impression with label 1, and so does each of
    its negatives with label 0: items of engagements drawn at random from the time before, so that an item is drawn in
    proportion to its popularity at that time.
    """

    negatives_per_positive: int = Field(4, ge=1, le=1000, description="negatives of each positive; fewer if the user "
                                                                      "knows most of the popular items")
    popularity_days: float = Field(7, gt=0, description="days before a positive whose engagements its negatives are "
                                                        "drawn from")
    repeats: Literal["exclude", "include"] = Field(
        "exclude", description="items that the user had engaged with before: exclude makes them neither positives nor "
                               "negatives, as for articles that are read once; include may make them either, as for "
                               "groceries that are bought again")
    seed: int = Field(0, ge=0, description="seed of the draws")


class MinCoverage(StrictModel):
    """Smallest accepted coverage of each join: the share of impressions that find a match, in each window.

    A lower share fails the job. The defaults detect ids that never match, such as v00001 and V00001, and accept logs in
    which most ids are new. 0 accepts everything.
    """

    pretrained_users: float = Field(0.001, ge=0, le=1, description="impressions whose user has engagements in the "
                                                                   "pretraining window")
    pretrained_items: float = Field(0.001, ge=0, le=1, description="impressions whose item has engagements in the "
                                                                   "pretraining window")
    users_table: float = Field(0.001, ge=0, le=1, description="impressions whose user has a row in the table users")
    items_table: float = Field(0.001, ge=0, le=1, description="impressions whose item has a row in the table items")


class DatasetConfig(StrictModel):
    """Settings of the Beam jobs."""

    sources: Sources = Field(Sources(), description="the four input tables")
    max_rejected_share: float = Field(0.01, ge=0, le=1, description="maximum share of rejected rows in a log")
    min_coverage: MinCoverage = Field(MinCoverage(), description="smallest accepted coverage of each join")
    max_line_bytes: int = Field(
        1 << 20, ge=64, description="longest line of a CSV or JSON lines file; a row with a longer line is rejected")
    max_id_bytes: int = Field(
        1024, ge=1, description="longest id or text value of a feature, in bytes of UTF-8; a row with a longer one is "
                                "rejected")
    max_decompression_ratio: float = Field(
        200, gt=1, description="highest ratio of content to compressed size of a gzip, Parquet or Avro input; one "
                               "above it is refused (checked from 16 MiB of content)")
    duplicates: Duplicates = Field(Duplicates(), description="handling of rows that repeat a key")
    relations: dict[str, float] = Field(
        {}, description="value of schema.relation -> weight of its pairs; rows of weight 0 are left out")
    negative_sampling: NegativeSampling | None = Field(None, description="of impressions/train (null: keep all)")
    implicit_feedback: ImplicitFeedback | None = Field(
        None, description="the impressions are positives only; add sampled negatives (null: they have labels)")
    shard_bytes: int = Field(1 << 27, ge=1, description="target size of a TFRecord file before compression")
    shards: int | None = Field(None, ge=1, description="TFRecord files per split (null: derived from shard_bytes)")
    compression: Literal["none", "gzip"] = Field("none", description="of the TFRecord files (gzip: named .gz)")
    heldout_fraction: float = Field(0.02, gt=0, lt=1, description="share of engagements held out to evaluate Stage I")
    impressions_format: Literal["examples", "columnar"] = Field(
        "examples", description="one tf.Example per impression, or blocks of columns (for custom readers)")
    impressions_per_block: int = Field(4096, ge=1, description="impressions in one columnar record")
    pairs_per_block: int = Field(8192, ge=1, description="pairs in one columnar record")
    max_weight: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="largest weight of an impression: schema.impression_weight / "
                                                     "schema.propensity is clipped to it (null: no limit)")
    golden_examples: int = Field(256, ge=1, description="validation impressions with raw values, to check exports")

    @model_validator(mode="after")
    def _negatives_have_one_origin(self) -> DatasetConfig:
        if self.implicit_feedback and self.negative_sampling:
            raise ValueError("implicit_feedback adds negatives and negative_sampling removes them: set "
                             "implicit_feedback.negatives_per_positive, and omit negative_sampling")
        if self.implicit_feedback and Source.from_declared(self.sources.impressions).labels:
            raise ValueError("with implicit_feedback the impressions are positives only: select them by "
                             "sources.impressions.where, and omit sources.impressions.labels")
        return self

    @field_validator("relations")
    @classmethod
    def _weights_are_shares(cls, relations: dict[str, float]) -> dict[str, float]:
        bad = {name: weight for name, weight in relations.items() if not 0 <= weight < float("inf")}
        if bad or (relations and not any(relations.values())):
            raise ValueError("weights must be finite and at least 0, and one must be above 0")
        # A relation's index is its position, which must not depend on the order in a file: JSON does not keep it.
        return dict(sorted(relations.items()))
