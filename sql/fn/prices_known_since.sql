-- fn.prices_known_since: of `first_session` and after, the last version of each bar that was known at `ts`, without withdrawn bars.
-- grain: symbol, session
-- sources: raw.prices
-- lookback: none
-- null: as in raw.prices; no row where `first_session` is NULL
create or replace macro fn.prices_known_since(ts, first_session) as table
-- The sessions before are dropped before the versions of each bar are sorted, which takes most of the time.
with versions as (
    select *, row_number() over (partition by symbol, session order by known_at desc) as age
    from raw.prices
    where known_at <= ts and session >= first_session
)

select * exclude (age)
from versions
where age = 1 and not is_withdrawn
