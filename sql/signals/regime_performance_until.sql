-- signals.regime_performance_until: signals.regime_performance, as far as it was known on `as_of`.
-- grain: axis, label, horizon
-- sources: core.regime_states, signals.regime_observations
-- lookback: all; the history until `as_of`
-- null: all but the counts where there is no observation; t_stat with fewer than two independent observations or none that differ
-- formula: as signals.regime_performance
create or replace macro signals.regime_performance_until(as_of) as table
with horizons as (
    from (values ('1m', 21), ('3m', 63), ('6m', 126)) as spans (horizon, sessions)
),

observed as (
    from signals.regime_observations(as_of)
),

moments as (
    select
        axis,
        state,
        horizon,
        count(*) as observations,
        avg(spread order by session) as mean_spread,
        median(spread) as median_spread,
        100.0 * count(*) filter (spread > 0) / count(*) as hit_rate_pct
    from observed
    group by axis, state, horizon
),

independent_moments as (
    select axis, state, horizon, count(*) as observations, avg(spread order by session) as mean, stddev_samp(spread order by session) as sd
    from observed
    where is_independent
    group by axis, state, horizon
),

any_state as (
    select axis, horizon, avg(spread order by session) as mean_spread
    from observed
    group by axis, horizon
)

select
    s.axis,
    s.state as label,
    h.horizon,
    coalesce(m.observations, 0) as observations,
    coalesce(i.observations, 0) as independent_observations,
    m.mean_spread,
    m.median_spread,
    m.hit_rate_pct,
    i.mean / (nullif(i.sd, 0) / sqrt(i.observations)) as t_stat,
    i.mean as independent_mean_spread,
    a.mean_spread as mean_spread_any_label
from core.regime_states as s
cross join horizons as h
left join moments as m on m.axis = s.axis and m.state = s.state and m.horizon = h.horizon
left join independent_moments as i on i.axis = s.axis and i.state = s.state and i.horizon = h.horizon
left join any_state as a on a.axis = s.axis and a.horizon = h.horizon
order by case s.axis when 'label' then 1 when 'size' then 2 when 'leadership' then 3 else 4 end, s.place, h.sessions
