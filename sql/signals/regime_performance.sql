-- signals.regime_performance: what small caps returned beyond large caps after sessions with each label of the regime.
-- grain: label, horizon
-- sources: core.sessions, core.pairs, core.thresholds, signals.relative_strength, signals.rotation_regime
-- lookback: the whole history; unlike other signals it says something about all sessions and changes as they are added
-- null: all but the counts where there is no observation; t_stat with fewer than two independent observations or none that differ
-- formula: an observation is the headline pair's spread (IWM less IWB) over the 21, 63 or 126 sessions after a session with the label, once they
--   have passed. Windows of neighbouring sessions overlap and are nearly the same, so independent ones are taken: the first, then the next
--   that begins when it has ended, and so on. t = mean / (sample standard deviation / sqrt(n)) of the independent observations
-- columns:
--   label: confirmed, building, neutral, fading or reversed
--   horizon: 1m, 3m or 6m
--   observations: sessions with the label whose window has passed
--   independent_observations: of these, as many as do not overlap
--   mean_spread: fraction, mean over all observations
--   median_spread: fraction, median over all observations
--   hit_rate_pct: percent of all observations in which small caps did better
--   t_stat: of the mean of the independent observations; under 2 in size it may well be chance
--   independent_mean_spread: fraction, mean over the independent observations
--   mean_spread_any_label: fraction, mean over all sessions that have a label, to compare with
with labels as (
    select outcome as label, place
    from core.thresholds
    where subject = 'regime' and measure = 'score'
),

horizons as (
    from (values ('1m', 21), ('3m', 63), ('6m', 126)) as spans (horizon, sessions)
),

headline as (
    select s.session_number, r.spread_1m, r.spread_3m, r.spread_6m
    from signals.relative_strength as r
    join core.pairs as p on p.pair = r.pair and p.headline
    join core.sessions as s on s.session = r.session
),

labelled as (
    select g.label, s.session_number
    from signals.rotation_regime as g
    join core.sessions as s using (session)
    where g.label is not null
),

observed as (
    select
        l.label,
        h.horizon,
        h.sessions,
        l.session_number,
        case h.horizon when '1m' then f.spread_1m when '3m' then f.spread_3m when '6m' then f.spread_6m end as spread
    from labelled as l
    cross join horizons as h
    join headline as f on f.session_number = l.session_number + h.sessions
),

known as (
    from observed where spread is not null
),

-- Walks through the starts in order and keeps each that begins when the window kept last has ended.
independent as (
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

independent_moments as (
    select label, horizon, count(*) as observations, avg(k.spread order by session_number) as mean, stddev_samp(k.spread order by session_number) as sd
    from known as k
    join independent as i using (label, horizon, session_number)
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
)

select
    l.label,
    h.horizon,
    coalesce(m.observations, 0) as observations,
    coalesce(i.observations, 0) as independent_observations,
    m.mean_spread,
    m.median_spread,
    m.hit_rate_pct,
    i.mean / (nullif(i.sd, 0) / sqrt(i.observations)) as t_stat,
    i.mean as independent_mean_spread,
    a.mean_spread as mean_spread_any_label
from labels as l
cross join horizons as h
left join moments as m using (label, horizon)
left join independent_moments as i using (label, horizon)
left join any_label as a using (horizon)
order by l.place, h.sessions
