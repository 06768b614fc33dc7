-- signals.relative_rotation: coordinates of each instrument on the relative rotation graph against its benchmark, daily and weekly.
-- grain: symbol, timeframe, session
-- sources: core.instruments, core.prices, core.sessions, fn.z_score
-- lookback: 140 sessions; 28 rows, of the weekly timeframe 28 weeks
-- incremental: by week; the row of a week is that of its last session so far. DuckDB adds the 14 rows of a window one by one, in order
-- null: rs_ratio before 14 rows, rs_momentum, quadrant before 27, heading_deg before 28 and where neither coordinate moved
-- formula: rs = 100 x TRI / TRI of the benchmark; rs_ratio = 100 + z14(rs); rs_momentum = 100 + z14(rs_ratio); z14 = (value - mean) / sample
--   standard deviation of the last 14 rows, 0 in a flat window; heading = atan2(change of rs_momentum, change of rs_ratio) since the row before.
--   The published z-score variant of Julius de Kempenaer's graph, whose own formula is not public; looks back only, see docs/signals.md
-- columns:
--   symbol: ticker
--   timeframe: daily, or weekly: the symbol's last session of each ISO week
--   session: XNYS trading date
--   benchmark: symbol it is measured against
--   rs: 100 x total-return index / that of the benchmark
--   rs_ratio: 100 = as strong as usual; in standard deviations of 14 rows
--   rs_momentum: 100 = the ratio as usual; in standard deviations of 14 rows
--   quadrant: leading, weakening, lagging or improving
--   heading_deg: direction of the last step, degrees from 0 to under 360, 0 = to the right, counter-clockwise
--   is_provisional: a week still running: that of the latest session, unless the row is of its Friday
with daily as (
    select
        p.symbol, p.session, i.benchmark,
        100 * p.total_return_index / b.total_return_index as rs
    from core.prices as p
    join core.instruments as i on i.symbol = p.symbol
    join core.prices as b on b.symbol = i.benchmark and b.session = p.session
    -- Not from a distribution on that is not known.
    where p.total_return_index is not null and b.total_return_index is not null
),

running as (
    select date_trunc('week', max(session)) as week from core.sessions
),

weekly as (
    select d.*, date_trunc('week', d.session) = r.week and isodow(d.session) < 5 as is_provisional
    from daily as d
    cross join running as r
    semi join (select symbol, max(session) as session from daily group by symbol, date_trunc('week', session)) as l
        on l.symbol = d.symbol and l.session = d.session
),

lines as (
    select 'daily' as timeframe, *, false as is_provisional from daily
    union all by name
    select 'weekly' as timeframe, * from weekly
),

rated as (
    select
        *,
        row_number() over last_14 as row_of_line,
        case when row_of_line >= 14 then
            100 + coalesce(fn.z_score(rs, avg(rs) over last_14, stddev_samp(rs) over last_14), 0)
        end as rs_ratio
    from lines
    window last_14 as (partition by timeframe, symbol order by session rows 13 preceding)
),

moved as (
    select
        *,
        case when row_of_line >= 27 then
            100 + coalesce(fn.z_score(rs_ratio, avg(rs_ratio) over last_14, stddev_samp(rs_ratio) over last_14), 0)
        end as rs_momentum
    from rated
    window last_14 as (partition by timeframe, symbol order by session rows 13 preceding)
),

stepped as (
    select *, rs_ratio - lag(rs_ratio) over w as ratio_step, rs_momentum - lag(rs_momentum) over w as momentum_step
    from moved
    window w as (partition by timeframe, symbol order by session)
),

headed as (
    select *, case when ratio_step <> 0 or momentum_step <> 0 then degrees(atan2(momentum_step, ratio_step)) end as angle
    from stepped
)

select
    symbol,
    timeframe,
    session,
    benchmark,
    rs,
    rs_ratio,
    rs_momentum,
    case
        when rs_ratio >= 100 and rs_momentum >= 100 then 'leading'
        when rs_ratio >= 100 and rs_momentum < 100 then 'weakening'
        when rs_ratio < 100 and rs_momentum >= 100 then 'improving'
        when rs_ratio < 100 and rs_momentum < 100 then 'lagging'
    end as quadrant,
    -- An angle a hair below 0 would be rounded up to 360.
    case when angle >= 0 then angle when angle + 360 < 360 then angle + 360 when angle < 0 then 0 end as heading_deg,
    is_provisional
from headed
order by symbol, timeframe, session
