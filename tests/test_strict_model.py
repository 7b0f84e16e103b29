"""Models that refuse unknown keys, and discriminated unions with short forms."""

from typing import Annotated, Literal

import pytest
from pydantic import Field

from tfrs_pretrain.strict_model import KindModel, StrictModel, short_form


class Circle(KindModel):
    kind: Literal["circle"] = "circle"
    radius: float = 1.0


class Square(KindModel):
    side: int = 2
    kind: Literal["square"] = "square"


Shape = Annotated[Circle | Square, Field(discriminator="kind"), short_form("square")]


class Drawing(StrictModel):
    shape: Shape = Circle()
    more: dict[str, Shape] = Field({})
    maybe: Shape | None = None


@pytest.mark.parametrize(("given", "expected"), [
    ({"shape": "circle"}, Drawing(shape=Circle())), ({"shape": {}}, Drawing(shape=Square())),
    ({"shape": {"side": 3}}, Drawing(shape=Square(side=3))), ({"shape": Square(side=4)}, Drawing(shape=Square(side=4))),
    ({"more": {"a": "square"}}, Drawing(more={"a": Square()})), ({"maybe": None}, Drawing()),
    ({"maybe": {"kind": "circle", "radius": 2}}, Drawing(maybe=Circle(radius=2)))])
def test_short_forms(given, expected):
    assert Drawing.model_validate(given) == expected


@pytest.mark.parametrize("given", [
    {"shape": {"radius": 3}}, {"shape": {"kind": "circle", "side": 3}}, {"shape": "triangle"}, {"shape": None},
    {"shape": 3}, {"color": 1}])
def test_keys_of_other_kinds_and_unknown_ones_are_refused(given):
    with pytest.raises(ValueError, match="validation error"):
        Drawing.model_validate(given)


def test_the_given_mapping_is_left_alone():
    given = {"side": 3}
    Drawing.model_validate({"shape": given})
    assert given == {"side": 3}


def test_dumps_can_be_read_back():
    drawing = Drawing(shape=Square(side=3), more={"a": Circle(), "b": Square()}, maybe=Circle())
    for options in ({}, {"exclude_defaults": True}, {"mode": "json"}):
        assert Drawing.model_validate(drawing.model_dump(**options)) == drawing
    assert drawing.model_dump(exclude_defaults=True) == {
        "shape": {"kind": "square", "side": 3}, "more": {"a": {"kind": "circle"}, "b": {"kind": "square"}},
        "maybe": {"kind": "circle"}}
    assert Square().model_dump(exclude={"kind"}) == {"side": 2}
    assert Drawing().model_dump(exclude_defaults=True) == {}


def test_values_cannot_change():
    with pytest.raises(ValueError, match="frozen"):
        Circle().radius = 2
