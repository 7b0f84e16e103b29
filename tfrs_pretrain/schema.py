"""What a dataset holds, declared once: read by Beam (writing), ``tf.data`` (reading) and the SavedModel (serving)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from tfrs_pretrain.strict_model import StrictModel

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


class Feature(StrictModel):
    """One input of the ranking model beside the two ids.

    A missing categorical value is the empty string (strings) or -1 (int64), an ordinary value that may have its own
    row. A missing numeric value is NaN and takes the training mean. A multi-valued feature holds none, one or many
    values, whose rows are averaged; in it the missing value is no value at all.
    """

    name: str = Field(description="name in the TFRecords, the model and the serving signature")
    source: Literal["impressions", "items", "users"] = Field(description="table that holds the column")
    column: str | None = Field(None, description="column in that table (null: the same as name)")
    kind: Literal["categorical", "numeric", "multi_valued"] = Field(
        description="a value with a row of its own, a number, or a list of values")
    dtype: Literal["int64", "string", "float32"] = Field(description="type of the raw value")
    min_count: int = Field(1, ge=1, description="training impressions that admit a categorical value")
    oov_rows: int = Field(1, ge=1, description="rows shared, by hash, by categorical values outside the vocabulary")
    max_values: int | None = Field(None, ge=1, description="multi_valued: values kept of an impression, the first ones")
    separator: str | None = Field(None, min_length=1, description="multi_valued: splits a text into values (null: the "
                                                                  "column holds lists, or JSON arrays in text formats)")
    log1p: bool = Field(False, description="numeric: the model takes sign(x) log(1 + |x|), for counts and other long "
                                           "tails; records and requests hold x")
    privileged: bool = Field(False, description="known in the log but not when serving: only a teacher may see it")

    @model_validator(mode="after")
    def _kind_fits_dtype(self) -> Feature:
        if (self.kind == "numeric") != (self.dtype == "float32"):
            raise ValueError(f"feature {self.name!r}: kind {self.kind} does not go with dtype {self.dtype}; "
                             "numeric features are float32, the others int64 or string")
        if self.log1p and self.kind != "numeric":
            raise ValueError(f"feature {self.name!r}: log1p is for numeric features, not for kind {self.kind}")
        if (self.kind == "multi_valued") != (self.max_values is not None) or (
                self.separator and self.kind != "multi_valued"):
            raise ValueError(f"feature {self.name!r}: kind {self.kind} does not go with max_values {self.max_values} "
                             f"and separator {self.separator!r}; a multi_valued feature needs max_values, and no other "
                             "feature has either")
        return self

    @property
    def source_column(self) -> str:
        return self.column or self.name


class History(StrictModel):
    """Point-in-time history: what the user had engaged with strictly before an impression."""

    length: int = Field(ge=1, description="most recent engagements to keep, in order of time")


class Schema(StrictModel):
    """Columns of the logs and features of the ranking model."""

    user: IdSpace = Field(description="ids of the users")
    item: IdSpace = Field(description="ids of the items")
    time: str = Field(description="column that orders events within a user (integer or timestamp)")
    window: str = Field(description="column that the windows cut (integer, date or timestamp); may equal time")
    label: str = Field(description="column of the impression log: 1 engaged, 0 not (integer, boolean or float)")
    labels: tuple[str, ...] = Field((), description="further label columns of the impression log, 0 or 1 each")
    request: str | None = Field(None, description="column of the impression log that, with the user, names the request "
                                                  "(page view) that an impression belongs to: what is judged as one "
                                                  "ranked list. May be the time column (null: not judged)")
    relation: str | None = Field(None, description="column of the engagement log that names the surface or action")
    history: History | None = Field(None, description="give each impression its user's history (null: none)")
    features: tuple[Feature, ...] = Field((), description="inputs of the ranking model beside the two ids")

    @model_validator(mode="after")
    def _names_are_unique(self) -> Schema:
        names = [*RESERVED_COLUMNS, *self.labels, *(feature.name for feature in self.features)]
        names += ([HISTORY] if self.history else []) + ([REQUEST] if self.request else [])
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"names of features and further labels must be unique and none of "
                             f"{sorted(RESERVED_COLUMNS)}; repeated: {twice}")
        return self

    @property
    def id_spaces(self) -> dict[str, IdSpace]:
        """The spaces that have a pretrained table, by name."""
        return {"user": self.user, "item": self.item}

    def of_kind(self, kind: str, *, privileged: bool) -> tuple[Feature, ...]:
        """Features of one kind in declared order; privileged ones only when asked for."""
        return tuple(f for f in self.features if f.kind == kind and (privileged or not f.privileged))

    @property
    def vocabularies(self) -> dict[str, tuple[str, int]]:
        """Name -> (raw dtype, out-of-vocabulary rows) of everything that has a vocabulary."""
        spaces = {name: (space.dtype, space.oov_rows) for name, space in self.id_spaces.items()}
        return spaces | {f.name: (f.dtype, f.oov_rows) for f in self.features if f.kind != "numeric"}


# Columns that every impressions TFRecord has, beside one per feature (rows as int64, numeric values as float32).
USER_ROW, ITEM_ROW, USER_ID, ITEM_ID, LABEL, KEY = "user", "item", "user_id", "item_id", "label", "key"
REQUEST = "request"  # where the schema names its column: int64 hash of user and request
HISTORY = "history"  # where the schema asks for it: int64 item rows, as many as there are, the latest last
RESERVED_COLUMNS = (USER_ROW, ITEM_ROW, USER_ID, ITEM_ID, LABEL, KEY)
PADDING = -1  # in batches, at the end of the rows of a history or multi-valued feature that are fewer than others
