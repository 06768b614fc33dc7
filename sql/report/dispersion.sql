-- report.dispersion: how alike the sectors move, and how far apart their returns are.
-- grain: session; every session of the last 756, before that the last of each week
-- sources: core.sessions, signals.dispersion
-- null: as in signals.dispersion
-- columns: those of signals.dispersion
with shown as (
    select session
    from core.sessions
    where session <= getvariable('session')
    qualify session_number > max(session_number) over () - 756
        or row_number() over (partition by date_trunc('week', session) order by session desc) = 1
)

select
    d.session,
    d.mean_correlation_63d,
    d.return_dispersion_1d,
    d.return_dispersion_1m,
    d.correlation_percentile_5y,
    d.dispersion_percentile_5y,
    d.sectors
from signals.dispersion as d
semi join shown as s on s.session = d.session
order by d.session
