-- ops.revisions: every value a vendor restated, each against the version before it.
-- grain: dataset, symbol, session, column_name, known_at
-- sources: raw.prices, raw.differs
-- null: old_value or new_value where the vendor gave none; new_value of a bar it withdrew
-- columns:
--   dataset: prices
--   symbol: ticker
--   session: XNYS trading date
--   column_name: column of raw.prices
--   old_value: value of the version before
--   new_value: value of this version
--   known_at: when the new value was fetched
--   run_id: run that fetched it
with versions as (
    select symbol, session, known_at, run_id, open, high, low, close, volume::double as volume, dividend, capital_gain, split_ratio
    from raw.prices
    qualify count(*) over (partition by symbol, session) > 1
),

-- NULLs must survive: UNPIVOT would otherwise drop a value the vendor took away.
long as (
    select *
    from versions
    unpivot include nulls (new_value for column_name in (open, high, low, close, volume, dividend, capital_gain, split_ratio))
),

steps as (
    select
        *,
        lag(new_value) over version_order as old_value,
        row_number() over version_order as version
    from long
    window version_order as (partition by symbol, session, column_name order by known_at)
)

select 'prices' as dataset, symbol, session, column_name, old_value, new_value, known_at, run_id
from steps
where version > 1 and raw.differs(new_value, old_value)
order by known_at, symbol, session, column_name
