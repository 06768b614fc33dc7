-- stage.estimated_companies: the companies whose earnings estimates are followed: the largest of the small and of the large fund, up to 60 % of
--   the fund's weight. Known only once the holdings are.
-- grain: symbol
-- sources: stage.pairs, stage.fetched_holdings, fn.holdings_known_at
-- lookback: all; the newest file of each fund
-- null: none
-- columns:
--   symbol: ticker of the company
with funds as (
    select unnest([small_symbol, large_symbol]) as fund_symbol from stage.pairs where earnings
),

files as (
    select fund_symbol, as_of::date as as_of, symbol, weight from stage.fetched_holdings
    union all
    select k.fund_symbol, k.as_of, k.symbol, k.weight
    from fn.holdings_known_at('infinity'::timestamptz) as k
    anti join stage.fetched_holdings as f on f.fund_symbol = k.fund_symbol and f.as_of::date = k.as_of
),

last_files as (
    select f.*
    from files as f
    semi join funds using (fund_symbol)
    where f.as_of <= getvariable('target_session')
    qualify dense_rank() over (partition by f.fund_symbol order by f.as_of desc) = 1
),

ranked as (
    select
        fund_symbol,
        symbol,
        row_number() over heaviest_first as position,
        sum(weight) over (heaviest_first rows between unbounded preceding and current row) - weight as weight_before,
        sum(weight) over (partition by fund_symbol) as fund_weight
    from last_files
    where symbol is not null
    window heaviest_first as (partition by fund_symbol order by weight desc, symbol)
)

-- The evidence needs half of each fund's weight; some companies will have no estimate.
select distinct symbol
from ranked
where position <= getvariable('earnings_constituents') and weight_before < 0.6 * fund_weight
order by symbol
