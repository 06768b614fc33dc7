"""market-rotation: a daily, audited DuckDB warehouse of US equity rotation.

In a checkout, the packages here are links to the folders at the top level. In the wheel they are the folders themselves, so that an
installation claims one import name, `market_rotation`.
"""
