-- fn.holdings_known_at: the last version of each holdings file that was known at `ts`. A file is one version as a whole.
-- grain: fund_symbol, as_of, symbol, name
-- sources: raw.holdings
-- lookback: none
-- null: as in raw.holdings
create or replace macro fn.holdings_known_at(ts) as table
select *
from raw.holdings
where known_at <= ts
qualify known_at = max(known_at) over (partition by fund_symbol, as_of)
