-- signals.earnings_momentum: expected earnings growth of small and of large companies.

-- expectation: earnings_momentum_gap_adds_up
-- severity: critical
-- sentence: The gap is not the growth of the small companies minus that of the large ones.
select 'signals' as symbol, session, small_growth_next_year, large_growth_next_year, gap
from signals.earnings_momentum
where gap is distinct from small_growth_next_year - large_growth_next_year;

-- expectation: every_number_finite
-- severity: critical
-- sentence: A number of the table is infinite or not a number.
select 'signals' as symbol, session from signals.earnings_momentum
where not (
    isfinite(small_growth_next_year) and isfinite(large_growth_next_year) and isfinite(gap)
    and isfinite(small_coverage_pct) and isfinite(large_coverage_pct)
    and isfinite(small_median) and isfinite(large_median)
    and isfinite(small_revision_breadth) and isfinite(large_revision_breadth)
);

-- expectation: earnings_momentum_shares_in_range
-- severity: critical
-- sentence: A coverage is not between 0 and 100 percent, or a revision breadth is not between -1 and 1.
select 'signals' as symbol, session, small_coverage_pct, large_coverage_pct, small_revision_breadth, large_revision_breadth
from signals.earnings_momentum
where not (
    small_coverage_pct between 0 and 100 + 1e-9 and large_coverage_pct between 0 and 100 + 1e-9
    and coalesce(small_revision_breadth between -1 and 1, true) and coalesce(large_revision_breadth between -1 and 1, true)
);

-- expectation: earnings_momentum_calendar_year
-- severity: critical
-- sentence: The period is not the current calendar year until June, or the next one from July on.
select 'signals' as symbol, session, period_end
from signals.earnings_momentum
where period_end is distinct from make_date(year(session + interval 6 months), 12, 31);
