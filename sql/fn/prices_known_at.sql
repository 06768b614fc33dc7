-- fn.prices_known_at: the last version of each bar that was known at `ts`, without withdrawn bars.
-- grain: symbol, session
-- sources: fn.prices_known_since
-- lookback: none
-- null: as in raw.prices
create or replace macro fn.prices_known_at(ts) as table
from fn.prices_known_since(ts, '-infinity'::date)
