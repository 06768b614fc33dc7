-- fn.earnings_growth_known_at: the last version of each company's estimates that was known at `ts`.
-- grain: symbol, as_of
-- sources: raw.earnings_growth
-- lookback: none
-- null: as in raw.earnings_growth
create or replace macro fn.earnings_growth_known_at(ts) as table
select *
from raw.earnings_growth
where known_at <= ts
qualify row_number() over (partition by symbol, as_of order by known_at desc) = 1
