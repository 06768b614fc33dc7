-- report.what_followed: excess return of small caps over large caps after sessions with each label, as far as it was known at the session.
-- grain: part, label, horizon, and of an observation session
-- sources: core.regime_states, signals.regime_observations, signals.regime_performance_until, signals.rotation_regime
-- null: all but the counts where there is no observation; t_stat with fewer than two independent observations or none that differ
-- formula: as signals.regime_performance, whose values these are at the latest session; an earlier report leaves out what followed later
-- columns: part: summary, with the columns of signals.regime_performance and whether the label is in force; or observation, an independent one: the
--   session with the label and the spread, a fraction, from there over the horizon
with parts as (
    select
        'summary' as part,
        label,
        horizon,
        label is not distinct from (select g.label from signals.rotation_regime as g where g.session = getvariable('session')) as in_force,
        observations,
        independent_observations,
        mean_spread,
        median_spread,
        hit_rate_pct,
        t_stat,
        independent_mean_spread,
        mean_spread_any_label
    from signals.regime_performance_until(getvariable('session'))
    where axis = 'label'
    union all by name
    select 'observation' as part, state as label, horizon, session, spread
    from signals.regime_observations(getvariable('session'))
    where axis = 'label' and is_independent
)

select
    p.part,
    p.label,
    p.horizon,
    p.in_force,
    p.observations,
    p.independent_observations,
    p.mean_spread,
    p.median_spread,
    p.hit_rate_pct,
    p.t_stat,
    p.independent_mean_spread,
    p.mean_spread_any_label,
    p.session,
    p.spread
from parts as p
join core.regime_states as l on l.axis = 'label' and l.state = p.label
order by p.part desc, case p.horizon when '1m' then 1 when '3m' then 2 else 3 end, l.place, p.session
