"""fn.exact_sum by hand: one sum for every order of the amounts, to the last bit."""

from __future__ import annotations

from math import fsum

import duckdb
import numpy as np
import pytest

from market_rotation.tasks import warehouse


def exact_sum(*amounts: float | None) -> float | None:
    with duckdb.connect() as con:
        con.execute("create schema fn")
        warehouse.build(con, "fn.exact_sum")
        con.execute("create table given (amount double)")
        con.executemany("insert into given values ($1)", [[amount] for amount in amounts])
        (found,) = con.execute("select fn.exact_sum(amount) from given").fetchone() or (None,)
    return found


def test_the_order_does_not_matter():
    """Shuffled amounts of very different size have one sum, that of exact arithmetic; their sums as doubles differ."""
    rng = np.random.default_rng(1)
    amounts = [float(value) for value in rng.normal(0, 1, 60) * 10.0 ** rng.integers(-3, 11, 60)]
    orders = [list(rng.permutation(amounts)) for _ in range(8)]
    assert len({sum(order) for order in orders}) > 1
    (found,) = {exact_sum(*order) for order in orders}
    assert found == pytest.approx(fsum(amounts), rel=1e-15)


def test_what_is_not_known():
    """NULL is left out; a group of nothing else is not known."""
    assert exact_sum(None, 1.5, None, -4.0) == -2.5
    assert exact_sum(None, None) is None


def test_impossible_amounts():
    """An amount too large for a decimal is added up as a double, so that no statement fails on it."""
    assert exact_sum(1e300, 1.0) == 1e300
    assert exact_sum(9e19, 9e19) == 1.8e20
