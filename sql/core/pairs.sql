-- core.pairs: the pairs of a small and a large symbol that are followed.
-- grain: pair
-- sources: fn.pairs_known_at
-- lookback: none
-- null: none
-- columns:
--   pair: small_symbol/large_symbol
--   small_symbol: the leg in the numerator
--   large_symbol: the leg in the denominator
--   headline: the pair the evidence rests on
--   earnings: the pair of funds whose companies' earnings are compared
--   known_at: when this version of the pairs became known
select small_symbol || '/' || large_symbol as pair, * exclude (run_id)
from fn.pairs_known_at('infinity'::timestamptz)
order by pair
