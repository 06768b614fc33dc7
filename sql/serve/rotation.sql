-- serve.rotation: any symbols on the relative rotation graph at a session, with a tail of any length.
-- grain: symbol, session; the last point and the tail before it
-- sources: core.instruments, signals.relative_rotation
-- null: coordinates and quadrant before 27 rows of history, heading before 28
-- columns: those of signals.relative_rotation; name; weeks_back: steps before the last point, 0, weeks or sessions; quadrant_now of the last point;
--   label_place, where beside its last point the chart writes the symbol
with tails as (
    select
        symbol, session, rs_ratio, rs_momentum, quadrant, heading_deg, is_provisional,
        row_number() over (partition by symbol order by session desc) - 1 as weeks_back,
        first(quadrant) over (partition by symbol order by session desc) as quadrant_now,
        first(rs_ratio) over (partition by symbol order by session desc) as ratio_now
    from signals.relative_rotation
    where symbol in getvariable('symbols')
        and timeframe = getvariable('timeframe')
        and session <= getvariable('session')
    qualify weeks_back <= getvariable('tail')
)

select
    t.symbol,
    coalesce(replace(i.sector, '_', ' '), i.index_name, i.name) as name,
    t.session,
    t.rs_ratio,
    t.rs_momentum,
    t.quadrant,
    t.heading_deg,
    t.is_provisional,
    t.weeks_back,
    t.quadrant_now,
    case when t.ratio_now < 100 then 'left' else 'right' end as label_place
from tails as t
join core.instruments as i using (symbol)
order by list_position(getvariable('symbols'), t.symbol), t.session
