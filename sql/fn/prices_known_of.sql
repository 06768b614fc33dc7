-- fn.prices_known_of: of the symbols in a list, the last version of each bar that was known at `ts`, without withdrawn bars.
-- grain: symbol, session
-- sources: raw.prices
-- lookback: none
-- null: as in raw.prices; no row where `symbols` is NULL
create or replace macro fn.prices_known_of(ts, symbols) as table
-- Other symbols are dropped before the versions of each bar are sorted, which takes most of the time.
with versions as (
    select *, row_number() over (partition by symbol, session order by known_at desc) as age
    from raw.prices
    where known_at <= ts and symbol in (select unnest(symbols))
)

select * exclude (age)
from versions
where age = 1 and not is_withdrawn
