"""Least squares by normal equations, without BLAS: its threads wait longer than they work."""

import numpy as np

SMALLEST = 1e-9  # relative: terms that depend on others so nearly count once


def normal_inverse(terms: np.ndarray) -> np.ndarray:
    """Returns the pseudo-inverse [p, p] of termsᵀ · terms, for terms [n, p]."""
    return np.linalg.pinv(np.einsum("ij,ik->jk", terms, terms), rcond=SMALLEST, hermitian=True)


def left_open(x: np.ndarray, terms: np.ndarray, inverse: np.ndarray) -> float:
    """Returns the sum of squares of x [n] that its best fit by terms [n, p] leaves.

    Args:
        x: what is explained.
        terms: what explains it.
        inverse: `normal_inverse(terms)`.
    """
    with_x = np.einsum("ij,i->j", terms, x)
    fitted = float(np.einsum("i,ij,j->", with_x, inverse, with_x))
    return max(float(np.einsum("i,i->", x, x)) - fitted, 0.0)
