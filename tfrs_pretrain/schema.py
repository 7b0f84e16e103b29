"""What a dataset holds, declared once: read by Beam (writing), ``tf.data`` (reading) and the SavedModel (serving)."""

from __future__ import annotations

from typing import Literal

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
)
from tfrs_pretrain.features.base import Feature, FeatureKind, VocabularyRules
from tfrs_pretrain.features.history import History, HistoryKind
from tfrs_pretrain.features.ids import IdKind
from tfrs_pretrain.features.registry import AnyFeature
from tfrs_pretrain.names import ColumnName, repeated
from tfrs_pretrain.strict_model import StrictModel

__all__ = ["HISTORY", "ITEM_ID", "ITEM_ROW", "KEY", "LABEL", "PADDING", "REQUEST", "RESERVED_COLUMNS", "USER_ID",
           "USER_ROW", "History", "IdSpace", "Schema"]

IdType = Literal["int64", "string"]


class IdSpace(StrictModel):
    """One space of ids: one vocabulary, one embedding table.

    Rows ``0 .. oov_rows - 1`` are shared by ids outside the vocabulary (by hash); known ids follow.
    """

    column: str = Field(description="column that holds the id in the engagement and impression logs and side table")
    dtype: IdType = Field("int64", description="type of the raw id")
    min_count: int = Field(1, ge=1, description="engagements in the pretraining window that admit an id")
    max_size: int | None = Field(None, ge=1, description="most ids to admit, most frequent first (null: no limit)")
    oov_rows: int = Field(1, ge=1, description="rows shared, by hash, by ids outside the vocabulary")

    @property
    def vocabulary(self) -> VocabularyRules:
        """How its vocabulary is built."""
        return VocabularyRules(self.dtype, self.oov_rows, self.min_count, self.max_size)


class Schema(StrictModel):
    """Columns of the logs and features of the ranking model."""

    user: IdSpace = Field(description="ids of the users")
    item: IdSpace = Field(description="ids of the items")
    time: str = Field(description="column that orders events within a user (integer or timestamp)")
    window: str = Field(description="column that the windows cut (integer, date or timestamp); may equal time")
    label: str = Field(description="column of the impression log: 1 engaged, 0 not (integer, boolean or float)")
    labels: tuple[ColumnName, ...] = Field((), description="further label columns of the impression log, 0 or 1 each")
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
        twice = repeated(names)
        if twice:
            raise ValueError(f"names of features and further labels must be unique without regard to case and none of "
                             f"{sorted(RESERVED_COLUMNS)}; repeated: {twice}")
        return self

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
