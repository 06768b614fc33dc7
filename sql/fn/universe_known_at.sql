-- fn.universe_known_at: the universe file as it was known at `ts`, without the rows that it no longer lists.
-- grain: symbol
-- sources: raw.universe
-- lookback: none
-- null: as in raw.universe
create or replace macro fn.universe_known_at(ts) as table
select * exclude (is_withdrawn)
from raw.universe
where known_at = (select max(known_at) from raw.universe where known_at <= ts) and is_withdrawn is not true
