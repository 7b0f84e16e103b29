"""Derivatives by central differences, for twins that have none of their own."""

import numpy as np


def numeric_gradient(function, values):
    """float64 like ``values``: slope of a scalar function in each of them."""
    gradient = np.zeros_like(values)
    for index in np.ndindex(*values.shape):
        up, down = values.copy(), values.copy()
        up[index] += 1e-6
        down[index] -= 1e-6
        gradient[index] = (function(up) - function(down)) / 2e-6
    return gradient
