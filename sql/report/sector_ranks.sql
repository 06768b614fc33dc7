-- report.sector_ranks: the sectors' ranks by return over three months, at the ends of the last 24 months and at the session.
-- grain: session, sector
-- sources: core.sessions, signals.sector_leadership
-- null: return and rank of a sector whose window is not full
-- columns: those of signals.sector_leadership; name; sectors that have a rank that session; rank_now at the report's session
with shown as (
    select max(session) as session
    from core.sessions
    where session <= getvariable('session')
    group by date_trunc('month', session)
    order by session desc
    limit 25
)

select
    l.session,
    l.sector,
    replace(l.sector, '_', ' ') as name,
    l.symbol,
    l.return_3m,
    l.excess_3m,
    l.rank_1m,
    l.rank_3m,
    l.rank_6m,
    l.rank_12m,
    count(l.rank_3m) over (partition by l.session) as sectors,
    first(l.rank_3m) over (partition by l.sector order by l.session desc) as rank_now
from signals.sector_leadership as l
semi join shown as s on s.session = l.session
order by l.session, l.rank_3m, l.sector
