-- core.fall_joined: the high, the low and the deepest fall of two adjoining stretches of an index, from those of the earlier `a` and the later
--   `b`, each a struct of high, low and fall.
-- null: a missing stretch counts as empty
-- formula: the deepest fall lies in one of the stretches, or leads from the high of the first to the low of the second
create or replace macro core.fall_joined(a, b) as {
    'high': greatest(a.high, b.high),
    'low': least(a.low, b.low),
    'fall': least(a.fall, b.fall, b.low / a.high - 1)
}
