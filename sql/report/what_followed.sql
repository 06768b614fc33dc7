-- report.what_followed: what small caps returned beyond large caps after sessions with each label, as far as it was known at the session.
-- grain: part, label, horizon, and of an observation session
-- sources: core.sessions, core.pairs, core.thresholds, signals.relative_strength, signals.rotation_regime
-- null: all but the counts where there is no observation; t_stat with fewer than two independent observations or none that differ
-- formula: as signals.regime_performance, whose values these are at the latest session; an earlier report leaves out what followed later
-- columns: part: summary, with the columns of signals.regime_performance and whether the label is in force; or observation, an independent one: the session with the label
--   and the spread, a fraction, from there over the horizon
with labels as (
    select outcome as label, place
    from core.thresholds
    where subject = 'regime' and measure = 'score'
),

horizons as (
    from (values ('1m', 21), ('3m', 63), ('6m', 126)) as spans (horizon, sessions)
),

-- Each spread as what followed the session at the start of its window.
windows as (
    select w.horizon, w.sessions, s.session_number - w.sessions as session_number, w.spread
    from signals.relative_strength as r
    join core.pairs as p on p.pair = r.pair and p.headline
    join core.sessions as s on s.session = r.session
    cross join lateral (values ('1m', 21, r.spread_1m), ('3m', 63, r.spread_3m), ('6m', 126, r.spread_6m)) as w (horizon, sessions, spread)
    where r.session <= getvariable('session') and w.spread is not null
),

known as (
    select g.label, w.horizon, w.sessions, g.session, w.session_number, w.spread
    from windows as w
    join core.sessions as s using (session_number)
    join signals.rotation_regime as g on g.session = s.session
    where g.label is not null
),

-- Walks through the starts in order and keeps each that begins when the window kept last has ended.
kept_starts as (
    select
        label,
        horizon,
        unnest(
            list_reduce(
                list([session_number] order by session_number),
                (kept, start) -> case when start[1] >= kept[-1] + sessions then list_concat(kept, start) else kept end
            )
        ) as session_number
    from known
    group by label, horizon, sessions
),

independent as (
    from known semi join kept_starts using (label, horizon, session_number)
),

independent_moments as (
    select
        label,
        horizon,
        count(*) as observations,
        avg(spread order by session_number) as mean,
        stddev_samp(spread order by session_number) as sd
    from independent
    group by label, horizon
),

moments as (
    select
        label,
        horizon,
        count(*) as observations,
        avg(spread order by session_number) as mean_spread,
        median(spread) as median_spread,
        100.0 * count(*) filter (spread > 0) / count(*) as hit_rate_pct
    from known
    group by label, horizon
),

any_label as (
    select horizon, avg(spread order by session_number) as mean_spread
    from known
    group by horizon
),

parts as (
    select
        'summary' as part,
        label,
        label is not distinct from (select g.label from signals.rotation_regime as g where g.session = getvariable('session')) as in_force,
        horizon,
        coalesce(m.observations, 0) as observations,
        coalesce(i.observations, 0) as independent_observations,
        m.mean_spread,
        m.median_spread,
        m.hit_rate_pct,
        i.mean / (nullif(i.sd, 0) / sqrt(i.observations)) as t_stat,
        i.mean as independent_mean_spread,
        a.mean_spread as mean_spread_any_label
    from labels
    cross join horizons
    left join moments as m using (label, horizon)
    left join independent_moments as i using (label, horizon)
    left join any_label as a using (horizon)
    union all by name
    select 'observation' as part, label, horizon, session, spread
    from independent
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
join labels as l using (label)
join horizons as h using (horizon)
order by p.part desc, h.sessions, l.place, p.session
