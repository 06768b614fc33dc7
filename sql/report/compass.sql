-- report.compass: the scores of size and leadership as a path over the last year, week by week.
-- grain: session; the last session of each week of a year, and the report's session
-- sources: core.thresholds, signals.rotation_regime
-- null: a mean where one of its 21 scores is not known; states while none is in force
-- formula: mean = average of the scores of the last 21 sessions
-- columns: those of signals.rotation_regime; size_mean_1m and leadership_mean_1m; leading_from and trailing_from, the size scores from which the
--   state of the day is leading or trailing; weeks_back from the report's session, 0
with scored as (
    select
        session,
        size_score,
        leadership_score,
        size_state,
        leadership_state,
        label,
        case when count(size_score) over last_21 = 21 then avg(size_score) over last_21 end as size_mean_1m,
        case when count(leadership_score) over last_21 = 21 then avg(leadership_score) over last_21 end as leadership_mean_1m
    from signals.rotation_regime
    where session <= getvariable('session')
    window last_21 as (order by session rows 20 preceding)
),

levels as (
    select
        max(level) filter (outcome = 'for') as leading_from,
        max(level) filter (outcome = 'against') as trailing_from
    from core.thresholds
    where subject = 'relative_strength'
),

weekly as (
    from scored
    where session > getvariable('session') - interval 1 year
    qualify row_number() over (partition by date_trunc('week', session) order by session desc) = 1
)

select
    w.session,
    w.size_score,
    w.leadership_score,
    w.size_mean_1m,
    w.leadership_mean_1m,
    w.size_state,
    w.leadership_state,
    w.label,
    l.leading_from,
    l.trailing_from,
    row_number() over (order by w.session desc) - 1 as weeks_back
from weekly as w
cross join levels as l
order by w.session
