-- fn.pairs_known_at: the pairs file as it was known at `ts`, without the rows that it no longer lists.
-- grain: small_symbol, large_symbol
-- sources: raw.pairs
-- lookback: none
-- null: as in raw.pairs
create or replace macro fn.pairs_known_at(ts) as table
select * exclude (is_withdrawn)
from raw.pairs
where known_at = (select max(known_at) from raw.pairs where known_at <= ts) and is_withdrawn is not true
