-- signals.regime_performance: what followed each label of the regime.

-- expectation: regime_performance_every_label
-- severity: critical
-- sentence: A combination of axis, label or state, and horizon is missing, or there is an extra one.
with wanted as (
    select s.axis, s.state as label, h.horizon
    from core.regime_states as s
    cross join (values ('1m'), ('3m'), ('6m')) as h (horizon)
)
select
    coalesce(w.label, p.label) as symbol, null::date as session, coalesce(w.axis, p.axis) as axis, coalesce(w.horizon, p.horizon) as horizon,
    p.label is null as is_missing
from wanted as w
full join signals.regime_performance as p on p.axis = w.axis and p.label = w.label and p.horizon = w.horizon
where w.label is null or p.label is null;

-- expectation: regime_performance_counts
-- severity: critical
-- sentence: There are more independent observations than observations, the hit rate is not a percentage, or there is
--   a mean without an observation.
select label as symbol, null::date as session, horizon, observations, independent_observations, mean_spread, median_spread,
    hit_rate_pct, t_stat
from signals.regime_performance
where not coalesce(independent_observations between 0 and observations, false)
    or (independent_observations = 0) <> (observations = 0)
    or not hit_rate_pct between 0 and 100
    or (hit_rate_pct is null) <> (observations = 0)
    or (mean_spread is null) <> (observations = 0)
    or (median_spread is null) <> (observations = 0)
    or (independent_mean_spread is null) <> (observations = 0)
    or (t_stat is not null and independent_observations < 2);

-- expectation: every_number_finite
-- severity: critical
-- sentence: A number of the table is infinite or not a number.
select label as symbol, null::date as session from signals.regime_performance
where not (
    isfinite(mean_spread) and isfinite(median_spread) and isfinite(hit_rate_pct) and isfinite(t_stat)
    and isfinite(independent_mean_spread) and isfinite(mean_spread_any_label)
);
