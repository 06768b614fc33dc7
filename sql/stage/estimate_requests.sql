-- stage.estimate_requests: the companies whose earnings estimates this run requests: the largest of the small and of the large fund, up to 60 % of
--   the fund's weight, when their estimate is older than ops.datasets allows. Known only once the holdings are.
-- grain: symbol
-- sources: stage.pairs, stage.sessions, stage.fetched_holdings, fn.holdings_known_at, raw.earnings_growth, ops.datasets
-- lookback: 5 sessions; the maximum age of an estimate
-- null: none
-- columns:
--   dataset: earnings_growth
--   symbol: ticker of the company
--   start_session: the session of the run
--   end_session: the session of the run
--   is_full_history: false
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
),

-- The evidence needs half of each fund's weight; some companies will have no estimate.
largest as (
    select symbol
    from ranked
    where position <= getvariable('earnings_constituents') and weight_before < 0.6 * fund_weight
),

due as (
    select session
    from stage.sessions
    where session <= getvariable('target_session')
    qualify row_number() over (order by session desc) - 1 = (
        select max_age_sessions from ops.datasets where dataset = 'earnings_growth' and source is null
    )
)

select distinct
    'earnings_growth' as dataset,
    l.symbol,
    getvariable('target_session') as start_session,
    getvariable('target_session') as end_session,
    false as is_full_history
from largest as l
anti join raw.earnings_growth as e on e.symbol = l.symbol and e.as_of >= (select session from due)
order by l.symbol
