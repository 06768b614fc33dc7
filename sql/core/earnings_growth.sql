-- core.earnings_growth: analysts' estimates of the earnings of the largest companies of the small and the large fund.
-- grain: symbol, as_of
-- sources: fn.earnings_growth_known_at
-- lookback: none
-- null: no estimate; what the vendor did not say. Of snapshots recorded before period ends and earnings per share were, only growth is known
-- columns:
--   symbol: ticker of the company
--   as_of: day of the snapshot
--   period_end_current_year: last day of the fiscal year under way, the first that the company has not reported
--   period_end_next_year: last day of the fiscal year after it
--   eps_year_ago: earnings per share of the fiscal year before the one under way
--   eps_current_year: earnings per share of the fiscal year under way, mean of the estimates
--   eps_next_year: earnings per share of the next fiscal year, mean of the estimates
--   growth_current_year: fraction, fiscal year under way over the one before
--   growth_next_year: fraction, next fiscal year over the one under way
--   analysts: number of estimates of the next fiscal year
--   revisions_up_30d: estimates of the next fiscal year raised in the last 30 days
--   revisions_down_30d: estimates of the next fiscal year lowered in the last 30 days
--   price: price per share on the day of the snapshot, in the currency of the earnings
--   source: vendor that published it
--   known_at: when this version was fetched
select
    symbol,
    as_of,
    period_end_current_year,
    period_end_next_year,
    eps_year_ago,
    eps_current_year,
    eps_next_year,
    growth_current_year,
    growth_next_year,
    analysts,
    revisions_up_30d,
    revisions_down_30d,
    price,
    source,
    known_at
from fn.earnings_growth_known_at('infinity'::timestamptz)
order by symbol, as_of
