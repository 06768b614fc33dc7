-- report.breadth: participation: symbols above their 200-day average, and sectors ahead of the market.
-- grain: session; every session of the last 756, before that the last of each week
-- sources: core.sessions, signals.breadth
-- null: where no window is full
-- columns: those of signals.breadth; sectors_beating_spy_3m_pct is percent of the sectors whose three-month return is known
with shown as (
    select session
    from core.sessions
    where session <= getvariable('session')
    qualify session_number > max(session_number) over () - 756
        or row_number() over (partition by date_trunc('week', session) order by session desc) = 1
)

select
    b.session,
    b.universe_above_200d_pct,
    100.0 * b.sectors_beating_spy_3m / nullif(b.sectors_counted_3m, 0) as sectors_beating_spy_3m_pct,
    b.sectors_beating_spy_3m,
    b.sectors_counted_3m,
    b.sectors_above_200d,
    b.sectors_counted_200d,
    b.equal_minus_cap_3m,
    b.counted,
    b.missing,
    b.missing_symbols
from signals.breadth as b
semi join shown as s on s.session = b.session
order by b.session
