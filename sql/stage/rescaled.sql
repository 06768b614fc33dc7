-- stage.rescaled: symbols with a distribution, or one that is not known, on a changed session or after: each scales all adjusted closes before it.
-- grain: symbol
-- sources: core.prices, raw.prices, raw.price_events
-- lookback: all; the last bar of each symbol before the first changed session
-- null: none
-- columns:
--   symbol: ticker
with last_bars as (
    select symbol, max(session) as session
    from core.prices
    where session < getvariable('changed_since')
    group by symbol
)

select symbol from raw.prices where session >= getvariable('changed_since') and dividend + capital_gain is distinct from 0
union
-- The next bar takes a distribution of a session without one.
select e.symbol
from raw.price_events as e
join last_bars as b on b.symbol = e.symbol and e.event_date > b.session
order by symbol
