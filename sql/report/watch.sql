-- report.watch: the measures behind the evidence, and how far each is from the level at which it would speak otherwise.
-- grain: measure
-- sources: core.thresholds, core.evidence_names, core.pairs, fn.satisfies, signals.relative_strength, signals.breadth, signals.sector_leadership,
--   signals.mega_cap, signals.rotation_evidence
-- null: value, side and distance where the measure is not known that session; usual_week and weeks_away of flows and earnings, which do not change
--   by the week, and with under 252 weekly changes
-- formula: turns_at = the level whose crossing changes the side, for counts the next whole number beyond it; distance = size of value - turns_at;
--   usual_week = sample standard deviation of the changes over 5 sessions, of the last 252 sessions; weeks_away = distance / usual_week
-- columns: axis; evidence; evidence_name; measure; name in words; value and turns_at, ratios to an average as fractions; unit; side: for, against
--   or neither; distance, usual_week and weeks_away
with names as (
    from (
        values
            ('spread_1m', 'lead of small caps over one month'),
            ('spread_3m', 'lead of small caps over three months'),
            ('ratio_less_ma50', 'ratio of small to large caps against its 50-session average'),
            ('ratio_less_ma200', 'ratio of small to large caps against its 200-session average'),
            ('sectors_beating_spy_3m', 'sectors ahead of the market over three months'),
            ('equal_minus_cap_3m', 'lead of the average large company over three months'),
            ('technology_rank_3m', 'rank of technology among the sectors'),
            ('mag7_minus_rest_3m', 'lead of the Magnificent Seven over three months'),
            ('flow_pct_of_assets', 'flow into small-cap funds over three months'),
            ('gap', 'expected growth of small less large companies')
    ) as words (measure, name)
),

size_measures as (
    select
        r.session,
        unnest(['spread_1m', 'spread_3m', 'ratio_less_ma50', 'ratio_less_ma200']) as measure,
        unnest([r.spread_1m, r.spread_3m, r.ratio / r.ratio_ma50 - 1, r.ratio / r.ratio_ma200 - 1]) as value
    from signals.relative_strength as r
    join core.pairs as p on p.pair = r.pair and p.headline
),

market_measures as (
    select
        session,
        unnest(['sectors_beating_spy_3m', 'equal_minus_cap_3m']) as measure,
        unnest([sectors_beating_spy_3m::double, equal_minus_cap_3m]) as value
    from signals.breadth
),

measured as (
    from size_measures
    union all
    from market_measures
    union all
    select session, 'technology_rank_3m', rank_3m::double from signals.sector_leadership where sector = 'technology'
    union all
    select session, 'mag7_minus_rest_3m', mag7_minus_rest_3m from signals.mega_cap
),

recent as (
    select *, value - lag(value, 5) over (partition by measure order by session) as change_1w
    from measured
    where session <= getvariable('session') and session > getvariable('session') - interval 400 days
),

moves as (
    select measure, case when count(change_1w) = 252 then stddev_samp(change_1w) end as usual_week
    from (from recent qualify row_number() over (partition by measure order by session desc) <= 252)
    group by measure
),

now_measured as (
    select measure, value from measured where session = getvariable('session')
    union all
    select case evidence when 'earnings' then 'gap' else 'flow_pct_of_assets' end, value
    from signals.rotation_evidence
    where session = getvariable('session') and evidence in ('fund_flows', 'earnings')
),

levels as (
    select
        measure,
        case when subject = 'size_condition' then 'relative_strength' else subject end as evidence,
        case when unit = 'index points' then 'fraction' else unit end as unit,
        max(level) filter (outcome = 'for') as level_for,
        max(comparison) filter (outcome = 'for') as comparison_for,
        max(level) filter (outcome = 'against') as level_against,
        max(comparison) filter (outcome = 'against') as comparison_against
    from core.thresholds
    where measure in (select measure from names)
    group by all
),

sided as (
    select
        l.*,
        m.value,
        case
            when m.value is null then null
            when fn.satisfies(m.value, l.comparison_for, l.level_for) then 'for'
            when fn.satisfies(m.value, l.comparison_against, l.level_against) then 'against'
            else 'neither'
        end as side,
        -- A rank or a count at its level still satisfies it; it turns at the next whole number.
        case when l.comparison_for = '>=' then l.level_for - 1 else l.level_for end as leaves_for_at,
        case when l.comparison_against = '<=' then l.level_against + 1 else l.level_against end as leaves_against_at
    from levels as l
    left join now_measured as m using (measure)
),

turning as (
    select
        *,
        case side
            when 'for' then leaves_for_at
            when 'against' then leaves_against_at
            when 'neither' then case when abs(value - level_for) <= abs(value - level_against) then level_for else level_against end
        end as turns_at
    from sided
)

select
    e.axis,
    t.evidence,
    e.name as evidence_name,
    t.measure,
    n.name,
    t.value,
    t.turns_at,
    t.unit,
    t.side,
    abs(t.value - t.turns_at) as distance,
    m.usual_week,
    abs(t.value - t.turns_at) / nullif(m.usual_week, 0) as weeks_away
from turning as t
join core.evidence_names as e on e.evidence = t.evidence
join names as n on n.measure = t.measure
left join moves as m on m.measure = t.measure
order by weeks_away nulls last, e.place, t.measure
