"""What a dataset holds, declared once: read by Beam (writing), ``tf.data`` (reading) and the SavedModel (serving)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tfrs_pretrain.columns import (
    HISTORY,
    ITEM_ID,
    ITEM_ROW,
    KEY,
    LABEL,
    PADDING,
    REQUEST,
    RESERVED_COLUMNS,
    USER_ID,
    USER_ROW,
    WEIGHT,
)
from tfrs_pretrain.features.base import Feature, FeatureKind, VocabularyRules
from tfrs_pretrain.features.history import History, HistoryKind
from tfrs_pretrain.features.ids import IdKind
from tfrs_pretrain.features.registry import AnyFeature
from tfrs_pretrain.lifecycle_rules import Eviction, LifecycleRules
from tfrs_pretrain.names import ColumnName, repeated
from tfrs_pretrain.strict_model import StrictModel

__all__ = ["HISTORY", "ITEM_ID", "ITEM_ROW", "KEY", "LABEL", "PADDING", "REQUEST", "RESERVED_COLUMNS", "USER_ID",
           "USER_ROW", "WEIGHT", "History", "IdSpace", "Schema"]

IdType = Literal["int64", "string"]
Duration = Annotated[str, Field(pattern=r"^[1-9][0-9]*[dh]$")]
MICROSECONDS = {"h": 3_600_000_000, "d": 86_400_000_000}


class IdSpace(StrictModel):
    """One space of ids: one vocabulary, one embedding table.

    Rows ``0 .. oov_rows - 1`` are shared by ids outside the vocabulary (by hash); known ids follow.
    """

    column: str = Field(description="column that holds the id in the engagement and impression logs and side table")
    dtype: IdType = Field("int64", description="type of the raw id; string also accepts columns of integers of any "
                                                  "size and sign, such as 64-bit hashes")
    min_count: int = Field(1, ge=1, description="engagements in the pretraining window that admit an id")
    max_size: int | None = Field(None, ge=1, description="most ids to admit, most frequent first (null: no limit)")
    eviction: Eviction | None = Field(None, description="ids that make room for better new ones when an extended "
                                                        "vocabulary is full (null: it admits no id)")
    ttl: Annotated[int, Field(ge=1)] | Duration | None = Field(
        None, description="an id loses its row after this number of extensions in a row without an engagement, or "
                          "after a time such as 90d or 12h (null: never)")
    decay: float = Field(0.0, ge=0, le=1, description="weight of the earlier count of an id when a vocabulary is "
                                                      "extended: count = decay * earlier + engagements in the window")
    oov_rows: int = Field(1, ge=1, description="rows shared, by hash, by ids outside the vocabulary")

    @property
    def vocabulary(self) -> VocabularyRules:
        """How its vocabulary is built."""
        return VocabularyRules(self.dtype, self.oov_rows, self.min_count, self.max_size, self.lifecycle)

    @property
    def lifecycle(self) -> LifecycleRules | None:
        """Which ids leave the vocabulary; None: it has no life cycle, and every id stays."""
        if not (self.decay or self.ttl or self.eviction):
            return None
        windows = self.ttl if isinstance(self.ttl, int) else None
        time = int(self.ttl[:-1]) * MICROSECONDS[self.ttl[-1]] if isinstance(self.ttl, str) else None
        return LifecycleRules(self.decay, windows, time, self.eviction)

    @model_validator(mode="after")
    def _eviction_has_a_limit(self) -> IdSpace:
        if self.eviction and self.max_size is None:
            raise ValueError(f"eviction {self.eviction!r} has no effect without max_size: set max_size, or remove "
                             "eviction")
        return self


class Schema(StrictModel):
    """Columns of the logs and features of the ranking model."""

    user: IdSpace = Field(description="ids of the users")
    item: IdSpace = Field(description="ids of the items")
    time: str = Field(description="column that orders events within a user (integer, date, timestamp or ISO 8601 text)")
    window: str = Field(description="column that the windows cut (integer, date, timestamp or ISO 8601 text); may "
                                    "equal time")
    label: str = Field(description="column of the impression log: 1 engaged, 0 not (integer, boolean or float)")
    labels: tuple[ColumnName, ...] = Field((), description="further label columns of the impression log, 0 or 1 each")
    optional_labels: tuple[str, ...] = Field(
        (), description="those of label and labels that may be missing (null or NaN): the impression then does not "
                        "count for this label, in training and in metrics; a missing value of another label rejects "
                        "the row")
    impression_weight: str | None = Field(
        None, description="column of the impression log: how much an impression counts in the loss of Stage II and in "
                          "metrics, finite and at least 0 (null: 1)")
    propensity: str | None = Field(
        None, description="column of the impression log: probability, above 0 up to 1, with which the impression was "
                          "shown or examined; its weight is divided by it (null: 1)")
    request: str | None = Field(None, description="column of the impression log that, with the user, names the request "
                                                  "(page view) that an impression belongs to: what is judged as one "
                                                  "ranked list. May be the time column (null: not judged)")
    relation: str | None = Field(None, description="column of the engagement log that names the surface or action")
    history: History | None = Field(None, description="give each impression its user's history (null: none)")
    features: tuple[AnyFeature, ...] = Field((), description="inputs of the ranking model beside the two ids")

    @model_validator(mode="after")
    def _names_are_unique(self) -> Schema:
        names = [*RESERVED_COLUMNS, *self.labels, *(feature.name for feature in self.features)]
        names += ([HISTORY] if self.history else []) + ([REQUEST] if self.request else [])
        names += [WEIGHT] if self.has_weights else []
        twice = repeated(names)
        if twice:
            raise ValueError(f"names of features and further labels must be unique without regard to case and none of "
                             f"{sorted(RESERVED_COLUMNS)}; repeated: {twice}")
        return self

    @model_validator(mode="after")
    def _optional_labels_are_labels(self) -> Schema:
        unknown = sorted(set(self.optional_labels) - {self.label, *self.labels})
        if unknown or len(set(self.optional_labels)) < len(self.optional_labels):
            raise ValueError(f"optional_labels {list(self.optional_labels)} must be different names of "
                             f"{[self.label, *self.labels]}, which are label and labels")
        return self

    @property
    def has_weights(self) -> bool:
        """Whether records and batches have a column of weights."""
        return bool(self.impression_weight or self.propensity)

    @property
    def optional_label_columns(self) -> tuple[str, ...]:
        """Columns of records and batches in which NaN is a missing label."""
        columns = {LABEL: self.label, **{name: name for name in self.labels}}
        return tuple(name for name, declared in columns.items() if declared in self.optional_labels)

    @property
    def id_spaces(self) -> dict[str, IdSpace]:
        """The spaces that have a pretrained table, by name."""
        return {"user": self.user, "item": self.item}

    @property
    def inputs(self) -> dict[str, FeatureKind]:
        """Everything that a ranking model may read, by column of records and batches: ids, features, history."""
        ids = IdKind(USER_ROW, USER_ID, self.user.dtype), IdKind(ITEM_ROW, ITEM_ID, self.item.dtype)
        history = [HistoryKind(self.history.length, self.item.dtype)] if self.history else []
        kinds: tuple[FeatureKind, ...] = (*ids, *self.features, *history)
        return {kind.name: kind for kind in kinds}

    @property
    def moment_features(self) -> tuple[Feature, ...]:
        """Features whose mean and standard deviation the jobs compute."""
        return tuple(feature for feature in self.features if feature.has_moments)

    @property
    def vocabularies(self) -> dict[str, VocabularyRules]:
        """How each vocabulary is built, by name of its ID space or feature."""
        spaces = {name: space.vocabulary for name, space in self.id_spaces.items()}
        return spaces | {feature.name: feature.vocabulary for feature in self.features if feature.vocabulary}
