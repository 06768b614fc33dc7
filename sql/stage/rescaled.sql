-- stage.rescaled: symbols with a distribution, or one that is not known, on a changed session or after: each scales all adjusted closes before it.
-- grain: symbol
-- sources: core.prices, raw.prices, raw.price_events
-- lookback: none
-- null: none
-- columns:
--   symbol: ticker
select symbol from core.prices where session >= getvariable('changed_since') and dividend is distinct from 0
union
select symbol from raw.prices where session >= getvariable('changed_since') and dividend + capital_gain is distinct from 0
union
select symbol from raw.price_events where event_date >= getvariable('changed_since')
order by symbol
