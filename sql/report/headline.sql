-- report.headline: the label in force and the score behind it, over two years.
-- grain: session
-- sources: signals.rotation_regime, core.thresholds
-- null: score and labels where fewer than three verdicts are known; a label before the first has held five sessions
-- columns: those of signals.rotation_regime; *_from are the scores from which the labels begin, the same in each row
with levels as (
    select
        max(level) filter (outcome = 'confirmed') as confirmed_from,
        max(level) filter (outcome = 'building') as building_from,
        max(level) filter (outcome = 'neutral') as neutral_from,
        max(level) filter (outcome = 'fading') as fading_from
    from core.thresholds
    where subject = 'regime' and measure = 'score'
),

recent as (
    from signals.rotation_regime
    where session <= getvariable('session')
    qualify row_number() over (order by session desc) <= 504
)

select
    r.session,
    r.score,
    r.label,
    r.raw_label,
    r.label_since,
    r.days_in_label,
    r.votes_for,
    r.votes_against,
    r.votes_missing,
    l.confirmed_from,
    l.building_from,
    l.neutral_from,
    l.fading_from
from recent as r
cross join levels as l
order by r.session
