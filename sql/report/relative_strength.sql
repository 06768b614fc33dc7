-- report.relative_strength: the headline pair's ratio with its averages, and the label in force.
-- grain: session; every session of the last 756, before that the last of each week
-- sources: core.sessions, core.pairs, signals.relative_strength, signals.rotation_regime
-- null: an average whose window is not full; the label while none is in force
-- columns: those of signals.relative_strength and label, label_since; ratio_to_ma200 is ratio / ratio_ma200 - 1, a fraction; first_session of
--   the pair
with shown as (
    select session
    from core.sessions
    where session <= getvariable('session')
    qualify session_number > max(session_number) over () - 756
        or row_number() over (partition by date_trunc('week', session) order by session desc) = 1
)

select
    r.session,
    r.pair,
    r.ratio,
    r.ratio_ma50,
    r.ratio_ma200,
    r.ratio / r.ratio_ma200 - 1 as ratio_to_ma200,
    r.ratio_z252,
    r.percentile_all,
    r.ratio_percentile_5y,
    r.days_leading,
    f.first_session,
    r.spread_3m,
    g.label,
    g.label_since
from signals.relative_strength as r
join core.pairs as p on p.pair = r.pair and p.headline
semi join shown as s on s.session = r.session
cross join (select min(session) as first_session from signals.relative_strength where pair = (select pair from core.pairs where headline)) as f
left join signals.rotation_regime as g on g.session = r.session
order by r.session
