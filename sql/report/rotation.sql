-- report.rotation: sectors, or the size ladder from mega to micro, on the relative rotation graph against the market, week by week.
-- grain: symbol, session; the last 9 weeks of each, so that the tail has 8 steps
-- sources: core.instruments, signals.relative_rotation
-- null: coordinates and quadrant before 27 weeks of history, heading before 28
-- columns: those of signals.relative_rotation; name; weeks_back from the last week, 0; quadrant_now of the last week
with followed as (
    -- Of funds one of each index, the oldest, and none of the benchmark's own index: its twins would differ only by rounding.
    select i.symbol, case i.kind when 'sector' then replace(i.sector, '_', ' ') else coalesce(i.index_name, i.name) end as name
    from core.instruments as i
    left join core.instruments as b on b.symbol = i.benchmark
    where i.kind = getvariable('kind')
        and (i.kind = 'sector' or i.benchmark is not null and i.index_name is distinct from b.index_name)
    qualify i.kind = 'sector'
        or row_number() over (partition by coalesce(i.index_name, i.symbol) order by i.inception, i.symbol) = 1
),

tails as (
    select
        r.*,
        row_number() over (partition by r.symbol order by r.session desc) - 1 as weeks_back,
        first(r.quadrant) over (partition by r.symbol order by r.session desc) as quadrant_now
    from signals.relative_rotation as r
    semi join followed as f on f.symbol = r.symbol
    where r.timeframe = 'weekly'
        and r.session <= getvariable('session')
        and r.session > getvariable('session') - interval 70 days
    qualify weeks_back <= 8
)

select
    t.symbol,
    f.name,
    t.session,
    t.rs_ratio,
    t.rs_momentum,
    t.quadrant,
    t.heading_deg,
    t.is_provisional,
    t.weeks_back,
    t.quadrant_now
from tails as t
join followed as f using (symbol)
order by t.symbol, t.session
