-- stage.counts: number of rows of each dataset that the sources returned in this run, and of new and revised rows among the staged ones.
-- grain: dataset
-- sources: stage.fetched_prices, stage.fetched_fund_nav, stage.fetched_fund_facts, stage.fetched_holdings, stage.fetched_earnings_growth,
--   stage.prices, stage.fund_nav, stage.fund_facts, stage.holdings, stage.earnings_growth, fn.holdings_known_at
-- lookback: none
-- null: none
-- columns:
--   dataset: name of the dataset
--   rows_fetched: rows that the sources returned
--   rows_new: of these, rows that were not known
--   rows_revised: rows that differ from their last known version, withdrawn ones included
with fetched as (
    select 'prices' as dataset, count(*) as rows_fetched from stage.fetched_prices
    union all
    select 'fund_nav', count(*) from stage.fetched_fund_nav
    union all
    select 'fund_facts', count(*) from stage.fetched_fund_facts
    union all
    select 'holdings', count(*) from stage.fetched_holdings
    union all
    select 'earnings_growth', count(*) from stage.fetched_earnings_growth
),

-- Lines that a corrected holdings file no longer has; stage.prices has withdrawn bars itself.
removed_holdings as (
    select k.fund_symbol
    from fn.holdings_known_at('infinity'::timestamptz) as k
    semi join stage.holdings as b on b.fund_symbol = k.fund_symbol and b.as_of = k.as_of
    anti join stage.holdings as b
        on b.fund_symbol = k.fund_symbol and b.as_of = k.as_of
        and b.symbol is not distinct from k.symbol and b.name is not distinct from k.name
),

staged as (
    select 'prices' as dataset, is_new, is_revised or is_withdrawn as is_revised from stage.prices
    union all
    select 'fund_nav', is_new, is_revised from stage.fund_nav
    union all
    select 'fund_facts', is_new, is_revised from stage.fund_facts
    union all
    select 'holdings', is_new, is_revised from stage.holdings
    union all
    select 'holdings', false, true from removed_holdings
    union all
    select 'earnings_growth', is_new, is_revised from stage.earnings_growth
)

select
    f.dataset,
    any_value(f.rows_fetched) as rows_fetched,
    count(*) filter (s.is_new) as rows_new,
    count(*) filter (s.is_revised) as rows_revised
from fetched as f
left join staged as s using (dataset)
group by f.dataset
order by f.dataset
