-- serve.pairs: the pairs followed, the headline pair first.
-- grain: pair
-- sources: core.pairs
-- null: none
-- columns: those of core.pairs
select pair, small_symbol, large_symbol from core.pairs order by headline desc, pair
