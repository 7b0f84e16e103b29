"""The specification of a log: its columns, their types, and the rows that a job reads."""

import dataclasses

from beam_pipelines.jobs.column_readers import ColumnReader, feature_readers, value_types
from tfrs_pretrain.config import Condition, Window
from tfrs_pretrain.features.base import Feature
from tfrs_pretrain.schema import Schema


@dataclasses.dataclass(frozen=True)
class TimeRules:
    """How the times of a log are read.

    Attributes:
      unit: unit of integer times: "s", "ms", "us" or "ns". None: plain integers.
      zone: IANA name of the zone of dates and of times without a zone. None: UTC.
      resolution: "day", "hour", "minute" or "second" that the times are rounded down to. None: they are exact.
    """

    unit: str | None = None
    zone: str | None = None
    resolution: str | None = None


@dataclasses.dataclass(frozen=True)
class LogSpec:
    """How a job reads a log: the split of each row and the columns to read.

    Attributes:
      name: name of the account and of the dead-letter files.
      table: name of the table in ``dataset.sources``.
      schema: names the id, time and window columns.
      windows: split -> interval of the window column. If empty, every row belongs to split "all".
      labels: name in the dataset -> label column. Empty for the engagement log, and for logs of positives only.
      optional_labels: names in the dataset of the labels that may be missing.
      weight, propensity: columns whose quotient is the weight of an impression, or None.
      max_weight: largest weight of an impression, or None for no limit.
      computed_labels: label column -> the condition that it is computed from, if it is not in the table.
      where: condition of the rows to read, or None for all.
      context_features: features whose columns are in the log itself.
      relations: value of the relation column -> weight. Empty if the log has no relation column.
      reject_duplicates: reject all rows of equal key except one.
      negative_rates: split -> share of its negatives to keep.
      request: column that identifies the request of an impression, or None.
      time_rules: unit, zone and resolution of the times.
      max_id_bytes: maximum length of an id or of a text value of a feature.
      time: type of the time column in formats without types: "timestamp" or "integer".
    """

    name: str
    table: str
    schema: Schema
    windows: dict[str, Window]
    labels: dict[str, str] = dataclasses.field(default_factory=dict)
    optional_labels: tuple[str, ...] = ()
    weight: str | None = None
    propensity: str | None = None
    max_weight: float | None = None
    computed_labels: dict[str, Condition] = dataclasses.field(default_factory=dict)
    where: Condition | None = None
    context_features: tuple[Feature, ...] = ()
    relations: dict[str, float] = dataclasses.field(default_factory=dict)
    reject_duplicates: bool = False
    negative_rates: dict[str, float] = dataclasses.field(default_factory=dict)
    request: str | None = None
    max_id_bytes: int = 1024
    time: str = "timestamp"
    time_rules: TimeRules = TimeRules()

    @property
    def readers(self) -> list[ColumnReader]:
        """Everything that reads a column. The request accepts the type of any other reader of its column."""
        schema = self.schema
        readers = feature_readers(self.context_features)
        readers += [ColumnReader(column, f"label {name!r}", "label") for name, column in self.labels.items()
                    if column not in self.computed_labels]
        readers += [ColumnReader(condition.column, reader, "float32" if condition.is_numeric else "string")
                    for reader, condition in self.conditions.items()]
        readers += [ColumnReader(column, key, "float32") for key, column in self.weights.items()]
        if self.relations and schema.relation:
            readers.append(ColumnReader(schema.relation, "schema.relation", "string"))
        if not (self.windows and schema.window == schema.time):
            readers.append(ColumnReader(schema.time, "schema.time", "int64" if self.time == "integer" else "timestamp"))
        if self.windows:
            temporal = self.has_date_windows and not self.has_epoch_windows
            readers.append(ColumnReader(schema.window, "schema.window", "timestamp" if temporal else "int64"))
        readers += [ColumnReader(space.column, f"schema.{name}", space.dtype)
                    for name, space in schema.id_spaces.items()]
        return readers

    @property
    def weights(self) -> dict[str, str]:
        """Columns that make the weight of an impression, by the key that names them."""
        named = {"schema.impression_weight": self.weight, "schema.propensity": self.propensity}
        return {key: column for key, column in named.items() if column}

    @property
    def conditions(self) -> dict[str, Condition]:
        """Conditions by what reads them, for messages."""
        where = {f"dataset.sources.{self.table}.where": self.where} if self.where else {}
        return where | {f"label {name!r}": condition for name, condition in self.computed_labels.items()}

    @property
    def value_types(self) -> dict[str, str]:
        """Column to read -> value type, see ``text_values.parse``."""
        request = {self.request: "string"} if self.request else {}
        return request | value_types(self.readers)

    @property
    def has_date_windows(self) -> bool:
        """True if the windows are intervals of dates, false if of integers."""
        return next(iter(self.windows.values())).temporal

    @property
    def has_epoch_windows(self) -> bool:
        """True if windows of dates are compared with integer times in a declared unit."""
        return (self.schema.window == self.schema.time and self.time_rules.unit is not None and self.time == "integer")

    @property
    def columns(self) -> list[str]:
        """Names of the columns to read, without repetition."""
        return list(self.value_types)
