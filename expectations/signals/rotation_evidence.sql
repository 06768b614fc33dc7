-- signals.rotation_evidence: the verdicts on the evidence board.

-- expectation: rotation_evidence_every_session
-- severity: critical
-- sentence: A session since the first price lacks one of the six pieces of evidence, or has one that is not among the
--   six.
with followed as (select session from core.sessions where session >= (select min(session) from core.prices)),
pieces as (
    from (values ('relative_strength'), ('breadth'), ('fund_flows'), ('sector_leadership'), ('mega_cap'), ('earnings')) as six (evidence)
),
board as (from followed cross join pieces)
select coalesce(b.evidence, e.evidence) as symbol, coalesce(b.session, e.session) as session, e.session is null as is_missing
from board as b
full join signals.rotation_evidence as e on e.session = b.session and e.evidence = b.evidence
where b.session is null or e.session is null;

-- expectation: evidence_verdicts
-- severity: critical
-- sentence: A verdict is not -1, 0 or 1, is given without a value, or contradicts its detail; or a row that misses a symbol is not marked
--   provisional, or does not name it.
select evidence as symbol, session, value, verdict, detail
from signals.rotation_evidence
where verdict not in (-1, 0, 1)
    or is_provisional is distinct from (missing_symbols is not null)
    or not contains(detail, missing_symbols)
    or (value is null) <> (verdict is null)
    or (verdict is null) is distinct from starts_with(detail, 'Not known: ');

-- expectation: evidence_follows_thresholds
-- severity: critical
-- sentence: A verdict for or against the rotation was given although the value does not meet its threshold.
with levels as (
    select
        f.subject as evidence, f.comparison as comparison_for, f.level as level_for,
        a.comparison as comparison_against, a.level as level_against
    from core.thresholds as f
    join core.thresholds as a on a.subject = f.subject and a.is_shown and a.outcome = 'against'
    where f.is_shown and f.outcome = 'for'
)
select e.evidence as symbol, e.session, e.value, e.threshold, e.threshold_against, e.verdict
from signals.rotation_evidence as e
join levels as l on l.evidence = e.evidence
where (e.threshold, e.threshold_against) is distinct from (l.level_for, l.level_against)
    or (e.verdict = 1 and not fn.satisfies(e.value, l.comparison_for, l.level_for))
    or (e.verdict = -1 and not fn.satisfies(e.value, l.comparison_against, l.level_against));

-- expectation: every_number_finite
-- severity: critical
-- sentence: A number of the table is infinite or not a number.
select evidence as symbol, session from signals.rotation_evidence
where not (isfinite(value) and isfinite(threshold) and isfinite(threshold_against));
