-- report.drawdowns: how far small, mid, large and mega caps are below their highest total return so far.
-- grain: symbol, session; every session of the last 756, before that the last of each week
-- sources: core.sessions, core.pairs, core.instruments, core.prices
-- null: name, peak_session, worst and worst_session but at the report's session
-- formula: drawdown = total_return_index / its highest so far - 1, from the symbol's first session; 0 at a new high
-- columns: symbol; name; session; drawdown, a fraction; peak_session of the high it is measured from; worst drawdown so far and its session
with followed as (
    select small_symbol as symbol, 1 as place from core.pairs where headline
    union
    select large_symbol, 2 from core.pairs where headline
    union
    select arg_min(symbol, inception), 3 from core.instruments where kind = 'fund' and peer_group = 'mid_cap' having count(*) > 0
    union
    select arg_min(symbol, inception), 4 from core.instruments where kind = 'fund' and peer_group = 'mega_cap' having count(*) > 0
),

shown as (
    select session
    from core.sessions
    where session <= getvariable('session')
    qualify session_number > max(session_number) over () - 756
        or row_number() over (partition by date_trunc('week', session) order by session desc) = 1
),

falls as (
    select
        p.symbol,
        p.session,
        f.place,
        p.total_return_index / max(p.total_return_index) over so_far - 1 as drawdown
    from core.prices as p
    join followed as f using (symbol)
    where p.session <= getvariable('session')
    window so_far as (partition by p.symbol order by p.session rows unbounded preceding)
),

extremes as (
    select
        symbol,
        max(session) as session,
        max(session) filter (drawdown = 0) as peak_session,
        min(drawdown) as worst,
        arg_min(session, drawdown) as worst_session
    from falls
    group by symbol
)

select f.symbol, case when x.symbol is not null then i.name end as name, f.session, f.drawdown, x.peak_session, x.worst, x.worst_session
from falls as f
join core.instruments as i using (symbol)
semi join shown as s on s.session = f.session
left join extremes as x on x.symbol = f.symbol and x.session = f.session
order by f.place, f.symbol, f.session
