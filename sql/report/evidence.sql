-- report.evidence: the six pieces of evidence now, and their values over the last year.
-- grain: session, evidence
-- sources: core.evidence_names, signals.rotation_evidence, core.thresholds
-- null: value and verdict where something the evidence needs is not known; columns about the report's session, in earlier rows
-- columns: session, evidence, axis, value and verdict in every row; the others in those of the report's session
with names as (
    from core.evidence_names
),

history as (
    select *, row_number() over (partition by evidence order by session desc) - 1 as sessions_back
    from signals.rotation_evidence
    where session <= getvariable('session')
    qualify sessions_back <= 252
),

before as (
    select
        evidence,
        max(verdict) filter (sessions_back = 1) as verdict_previous,
        max(verdict) filter (sessions_back = 21) as verdict_month_ago
    from history
    group by evidence
),

rules as (
    select
        subject as evidence,
        max(unit) as unit,
        max(comparison) filter (outcome = 'for') as comparison_for,
        max(comparison) filter (outcome = 'against') as comparison_against
    from core.thresholds
    where is_shown
    group by subject
),

quantities as (
    select h.evidence, q.role, q.level, r.unit
    from history as h
    join rules as r using (evidence)
    cross join lateral (values ('value', h.value), ('for', h.threshold), ('against', h.threshold_against)) as q (role, level)
    where h.sessions_back = 0
),

-- A level in words: a fraction in percent, counts whole; a sign only where a value can be on both sides of zero.
written as (
    select
        evidence,
        role,
        case
            when unit = 'fraction' and role = 'value' then format('{:+.1f} %', 100 * level)
            when unit = 'fraction' then format('{:.0f} %', 100 * level)
            when unit = 'percent' then format('{:+.1f} %', level)
            when unit = 'share of conditions' then format('{:+.1f}', level)
            else format('{:.0f}', level)
        end as words
    from quantities
),

compared as (
    from (values ('>', 'above '), ('>=', 'at least '), ('<', 'below '), ('<=', 'at most ')) as words (comparison, words)
),

texts as (
    select
        r.evidence,
        r.unit,
        v.words as value_text,
        cf.words || f.words as for_text,
        ca.words || a.words as against_text
    from rules as r
    left join written as v on v.evidence = r.evidence and v.role = 'value'
    left join written as f on f.evidence = r.evidence and f.role = 'for'
    left join written as a on a.evidence = r.evidence and a.role = 'against'
    left join compared as cf on cf.comparison = r.comparison_for
    left join compared as ca on ca.comparison = r.comparison_against
),

current_board as (
    select
        h.evidence, coalesce(n.name, h.evidence) as name, n.measure, h.detail, h.threshold, h.threshold_against,
        t.unit, t.value_text, t.for_text, t.against_text, b.verdict_previous, b.verdict_month_ago
    from history as h
    join before as b using (evidence)
    left join names as n using (evidence)
    left join texts as t using (evidence)
    where h.sessions_back = 0
)

select
    h.session,
    h.evidence,
    h.axis,
    h.value,
    h.verdict,
    c.name,
    c.detail,
    c.measure,
    c.value_text,
    c.for_text,
    c.against_text,
    c.threshold,
    c.threshold_against,
    c.unit,
    c.verdict_previous,
    c.verdict_month_ago
from history as h
left join current_board as c on c.evidence = h.evidence and h.sessions_back = 0
left join names as n on n.evidence = h.evidence
order by n.place, h.evidence, h.session
