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
);
