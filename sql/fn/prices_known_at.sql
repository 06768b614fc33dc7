-- fn.prices_known_at: the last version of each bar that was known at `ts`, without withdrawn bars.
-- grain: symbol, session
-- sources: raw.prices
-- lookback: none
-- null: as in raw.prices
create or replace macro fn.prices_known_at(ts) as table
with versions as (
    select *, row_number() over (partition by symbol, session order by known_at desc) as age
    from raw.prices
    where known_at <= ts
)

select * exclude (age)
from versions
where age = 1 and not is_withdrawn
