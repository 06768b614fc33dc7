-- report.earnings: expected earnings growth of small and large companies next year.
-- grain: session
-- sources: signals.earnings_momentum
-- null: growth of a side none of whose companies has an estimate of the last 20 sessions; the gap where either is
-- columns: those of signals.earnings_momentum, over the last 504 sessions
select session, small_growth_next_year, large_growth_next_year, gap, small_coverage_pct, large_coverage_pct
from signals.earnings_momentum
where session <= getvariable('session')
qualify row_number() over (order by session desc) <= 504
order by session
