"""Which ID spaces are named as the cause of a rise."""

import numpy as np
import pytest

from tfrs_pretrain.diagnosis.causes import blamed_spaces
from tfrs_pretrain.diagnosis.controls import BASE, WITHOUT_IDS, WITHOUT_ITEM, WITHOUT_USER
from tfrs_pretrain.diagnosis.verdict import BorderRise


def rise(border, uncertain=0):
    """The same border rise on all impressions and 100 replicates, ``uncertain`` of which show the base's rise."""
    borders = np.full(101, border)
    borders[101 - uncertain:] = 0.04
    return BorderRise(np.full(101, 0.6), borders, borders, borders)


@pytest.mark.parametrize(("controls", "blamed"), [
    ({}, []),
    ({WITHOUT_USER: rise(0.001), WITHOUT_ITEM: rise(0.039)}, ["user"]),
    ({WITHOUT_USER: rise(0.001), WITHOUT_ITEM: rise(0.0)}, ["user", "item"]),
    ({WITHOUT_USER: rise(0.03), WITHOUT_ITEM: rise(0.03), WITHOUT_IDS: rise(0.0)}, ["user", "item"]),
    ({WITHOUT_USER: rise(0.03), WITHOUT_ITEM: rise(0.01), WITHOUT_IDS: rise(0.0)}, ["item"]),
    ({WITHOUT_USER: rise(0.03), WITHOUT_IDS: rise(0.03)}, []),
    ({WITHOUT_USER: rise(0.001, uncertain=5)}, ["user"]),
    ({WITHOUT_USER: rise(0.001, uncertain=6)}, []),
])
def test_a_space_is_blamed_if_the_rise_disappears_without_it(controls, blamed):
    assert blamed_spaces({BASE: rise(0.04), **controls}) == blamed
