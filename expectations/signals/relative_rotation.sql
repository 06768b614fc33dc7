-- signals.relative_rotation: the points of the relative rotation graph.

-- expectation: relative_rotation_every_common_session
-- severity: critical
-- sentence: A symbol has more or fewer days or weeks on the rotation graph than it has in common with its benchmark.
with known as (from core.prices where total_return_index is not null),
benchmarks as (
    select symbol, session
    from known
    semi join (select distinct benchmark as symbol from core.instruments) as i using (symbol)
),
common as (
    select
        p.symbol, max(p.session) as last_session, count(*) as days,
        count(distinct date_trunc('week', p.session)) as weeks
    from known as p
    join core.instruments as i on i.symbol = p.symbol
    semi join benchmarks as b on b.symbol = i.benchmark and b.session = p.session
    group by p.symbol
),
drawn as (
    select
        symbol, max(session) filter (timeframe = 'daily') as last_day, max(session) filter (timeframe = 'weekly') as last_week,
        count(*) filter (timeframe = 'daily') as days_drawn, count(*) filter (timeframe = 'weekly') as weeks_drawn
    from signals.relative_rotation
    group by symbol
)
select symbol, c.last_session as session, c.days, d.days_drawn, c.weeks, d.weeks_drawn, d.last_day, d.last_week
from common as c
full join drawn as d using (symbol)
where (d.days_drawn, d.weeks_drawn, d.last_day, d.last_week) is distinct from (c.days, c.weeks, c.last_session, c.last_session);

-- expectation: relative_rotation_full_windows
-- severity: critical
-- sentence: A line's rs_ratio does not start at its 14th row, its rs_momentum not at its 27th, or its heading starts
--   before the 28th.
select
    symbol, min(session) filter (rs_momentum is not null) as session, timeframe,
    count(*) as rows, count(rs_ratio) as ratios, count(rs_momentum) as momenta, count(heading_deg) as headings
from signals.relative_rotation
group by symbol, timeframe
having count(rs) <> count(*)
    or count(rs_ratio) <> greatest(count(*) - 13, 0)
    or max(session) filter (rs_ratio is null) > min(session) filter (rs_ratio is not null)
    or count(rs_momentum) <> greatest(count(*) - 26, 0)
    or max(session) filter (rs_momentum is null) > min(session) filter (rs_momentum is not null)
    or min(session) filter (heading_deg is not null) <= min(session) filter (rs_momentum is not null);

-- expectation: relative_rotation_headings
-- severity: critical
-- sentence: A heading is missing although the point moved, or given although it did not.
with steps as (
    select
        symbol, session, timeframe, heading_deg,
        rs_ratio - lag(rs_ratio) over w as ratio_step,
        rs_momentum - lag(rs_momentum) over w as momentum_step
    from signals.relative_rotation
    window w as (partition by symbol, timeframe order by session)
)
select symbol, session, timeframe, ratio_step, momentum_step, heading_deg
from steps
where (heading_deg is null) <> coalesce(abs(ratio_step) + abs(momentum_step) = 0, true);

-- expectation: relative_rotation_labels
-- severity: critical
-- sentence: A timeframe, quadrant or heading is not a valid one, or the quadrant does not match the coordinates.
select symbol, session, timeframe, rs_ratio, rs_momentum, quadrant, heading_deg
from signals.relative_rotation
where timeframe is null or timeframe not in ('daily', 'weekly') or is_provisional is null
    or quadrant is distinct from case
        when rs_momentum >= 100 then case when rs_ratio >= 100 then 'leading' else 'improving' end
        when rs_momentum < 100 then case when rs_ratio >= 100 then 'weakening' else 'lagging' end
    end
    or not (heading_deg >= 0 and heading_deg < 360);

-- expectation: every_number_finite
-- severity: critical
-- sentence: A number of the table is infinite or not a number.
select symbol, session from signals.relative_rotation
where not (isfinite(rs) and isfinite(rs_ratio) and isfinite(rs_momentum) and isfinite(heading_deg));
