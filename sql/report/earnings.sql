-- report.earnings: what analysts expect the earnings of small and large companies to grow by in the calendar year ahead.
-- grain: session
-- sources: signals.earnings_momentum
-- null: as in signals.earnings_momentum
-- columns: those of signals.earnings_momentum, over the last 504 sessions, and
--   calendar_year: the year of its period_end
select
    session, year(period_end) as calendar_year, small_growth_next_year, large_growth_next_year, gap,
    small_median, large_median, small_coverage_pct, large_coverage_pct
from signals.earnings_momentum
where session <= getvariable('session')
qualify row_number() over (order by session desc) <= 504
order by session
