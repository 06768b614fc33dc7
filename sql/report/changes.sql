-- report.changes: changes since the session before and since 21 sessions ago.
-- grain: what
-- sources: core.sessions, core.pairs, core.evidence_names, core.instruments, signals.rotation_regime, signals.rotation_evidence, signals.relative_strength,
--   signals.sector_leadership, signals.relative_rotation
-- null: what is not known then
-- columns: what; its value at the session, the session before and 21 sessions before, as text. Session, label, states, scores, ratio, spread
--   and leader are always there, a verdict when it differs from either, a quadrant of the daily rotation graph when it differs from the session before
with moments as (
    select m.moment, s.session
    from (values ('now', 0), ('yesterday', 1), ('month_ago', 21)) as m (moment, sessions_back)
    join core.sessions as s
        on s.session_number = (select max(session_number) from core.sessions where session <= getvariable('session')) - m.sessions_back
),

regime as (
    select m.moment, g.*
    from moments as m
    join signals.rotation_regime as g using (session)
),

headline_pair as (
    select m.moment, r.pair, r.ratio, r.spread_3m
    from moments as m
    join signals.relative_strength as r using (session)
    join core.pairs as p on p.pair = r.pair and p.headline
),

leaders as (
    select m.moment, string_agg(replace(l.sector, '_', ' '), ', ' order by l.sector) as leader
    from moments as m
    join signals.sector_leadership as l using (session)
    where l.rank_3m = 1
    group by m.moment
),

verdicts as (
    select m.moment, 20 + n.place as place, n.name, case e.verdict when 1 then 'for' when -1 then 'against' when 0 then 'neither' end as verdict
    from moments as m
    join signals.rotation_evidence as e using (session)
    join core.evidence_names as n using (evidence)
),

quadrants as (
    select m.moment, i.sector, r.quadrant
    from moments as m
    join signals.relative_rotation as r on r.session = m.session and r.timeframe = 'daily'
    join core.instruments as i on i.symbol = r.symbol and i.kind = 'sector'
),

facts as (
    select 1 as place, 'Session' as what, moment, strftime(session, '%Y-%m-%d') as value from moments
    union all
    select 2, 'Label in force', moment, label from regime
    union all
    select 3, 'Size', moment, size_state from regime
    union all
    select 4, 'Leadership', moment, leadership_state from regime
    union all
    select 5, 'Support by flows and earnings', moment, support_state from regime
    union all
    select 6, 'Size score', moment, format('{:+.2f}', size_score) from regime
    union all
    select 7, 'Leadership score', moment, format('{:+.2f}', leadership_score) from regime
    union all
    select 8, 'Ratio ' || pair, moment, format('{:.2f}', ratio) from headline_pair
    union all
    select 9, 'Lead of small caps over three months', moment, format('{:+.1f} %', 100 * spread_3m) from headline_pair
    union all
    select 10, 'Leading sector over three months', moment, leader from leaders
    union all
    select place, name, moment, verdict from verdicts
    union all
    select 30, 'Quadrant of ' || replace(sector, '_', ' ') || ', daily', moment, quadrant from quadrants
),

compared as (
    select
        *,
        max(value) filter (moment = 'now') over (partition by what) as value_at_session,
        max(value) filter (moment = 'yesterday') over (partition by what) as value_before,
        max(value) filter (moment = 'month_ago') over (partition by what) as value_month_ago
    from facts
),

shown as (
    select place, what, moment, value
    from compared
    where place <= 10
        or value_at_session is distinct from value_before
        or (place < 30 and value_at_session is distinct from value_month_ago)
),

side_by_side as (
    from (pivot shown on moment in ('now', 'yesterday', 'month_ago') using max(value) group by place, what)
)

select * exclude (place)
from side_by_side
order by place, what
