-- core.earnings_growth: analysts' estimates of earnings growth of the largest companies of the small and the large fund.
-- grain: symbol, as_of
-- sources: fn.earnings_growth_known_at
-- lookback: none
-- null: no estimate
-- columns:
--   symbol: ticker of the company
--   as_of: day of the snapshot
--   growth_current_year: fraction, fiscal year under way over the one before
--   growth_next_year: fraction, next fiscal year over the one under way
--   source: vendor that published it
--   known_at: when this version was fetched
select symbol, as_of, growth_current_year, growth_next_year, source, known_at
from fn.earnings_growth_known_at('infinity'::timestamptz)
order by symbol, as_of
