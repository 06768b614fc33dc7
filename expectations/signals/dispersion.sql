-- signals.dispersion: how alike the sectors move, and how far apart their returns are.

-- expectation: dispersion_in_range
-- severity: critical
-- sentence: A correlation is not between -1 and 1, a dispersion is negative, a percentile is not between 0 and 100, or a value is given
--   without the sectors it needs.
select 'signals' as symbol, session, mean_correlation_63d, pairs, return_dispersion_1d, return_dispersion_1m, sectors
from signals.dispersion
where not coalesce(mean_correlation_63d between -1 - 1e-9 and 1 + 1e-9, true)
    or (mean_correlation_63d is null) <> (pairs = 0)
    or not coalesce(return_dispersion_1d >= 0, true)
    or (return_dispersion_1d is null) <> (sectors < 2)
    or not coalesce(return_dispersion_1m >= 0, true)
    or not coalesce(correlation_percentile_5y between 0 and 100, true)
    or not coalesce(dispersion_percentile_5y between 0 and 100, true);

-- expectation: every_number_finite
-- severity: critical
-- sentence: A number of the table is infinite or not a number.
select 'signals' as symbol, session from signals.dispersion
where not (
    isfinite(mean_correlation_63d) and isfinite(return_dispersion_1d) and isfinite(return_dispersion_1m)
    and isfinite(correlation_percentile_5y) and isfinite(dispersion_percentile_5y)
);
