-- fn.join_drawdowns: the high, the low and the deepest drawdown of two adjoining stretches of an index, from those of the earlier `a` and the
--   later `b`, each a struct of high, low and fall.
-- grain: one value
-- sources: none
-- lookback: none
-- null: a missing stretch counts as empty
-- formula: the deepest drawdown lies in one of the stretches, or leads from the high of the first to the low of the second
create or replace macro fn.join_drawdowns(a, b) as {
    'high': greatest(a.high, b.high),
    'low': least(a.low, b.low),
    'fall': least(a.fall, b.fall, b.low / a.high - 1)
}
