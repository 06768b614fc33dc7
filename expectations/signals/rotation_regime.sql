-- signals.rotation_regime: the score and the label of the regime.

-- expectation: regime_votes
-- severity: critical
-- sentence: The votes of the regime differ from those of the evidence, or there are more than six.
with recounted as (
    select
        session, count(*) filter (verdict = 1) as in_favour, count(*) filter (verdict = -1) as against,
        count(*) filter (verdict is null) as missing
    from signals.rotation_evidence
    group by session
)
select 'signals' as symbol, r.session, r.votes_for, r.votes_against, r.votes_missing, c.in_favour, c.against, c.missing
from signals.rotation_regime as r
left join recounted as c on c.session = r.session
where (r.votes_for, r.votes_against, r.votes_missing) is distinct from (c.in_favour, c.against, c.missing)
    or r.votes_for + r.votes_against + r.votes_missing > 6;

-- expectation: regime_score
-- severity: critical
-- sentence: The score is not the mean of the known verdicts, is given with too few of them, or is missing although
--   there are enough.
with judged as (
    select session, avg(verdict) as mean_verdict, count(verdict) as known_verdicts
    from signals.rotation_evidence
    group by session
)
select 'signals' as symbol, r.session, r.score, j.mean_verdict, j.known_verdicts
from signals.rotation_regime as r
left join judged as j on j.session = r.session
join core.thresholds as t on t.subject = 'regime' and t.outcome = 'known'
where (r.score is not null) <> core.holds(coalesce(j.known_verdicts, 0), t.comparison, t.level)
    or abs(r.score - j.mean_verdict) > 1e-12;

-- expectation: regime_labels
-- severity: critical
-- sentence: A label is not one of the five, is given without a score, or raw_label is not the one core.thresholds
--   gives for the score.
with judged as (
    select r.session, arg_min(t.outcome, t.place) filter (core.holds(r.score, t.comparison, t.level)) as label_of_score
    from signals.rotation_regime as r
    join core.thresholds as t on t.subject = 'regime' and t.measure = 'score'
    group by r.session
)
select 'signals' as symbol, r.session, r.score, r.raw_label, j.label_of_score, r.label
from signals.rotation_regime as r
join judged as j on j.session = r.session
where r.raw_label is distinct from j.label_of_score
    or r.raw_label not in ('confirmed', 'building', 'neutral', 'fading', 'reversed')
    or r.label not in ('confirmed', 'building', 'neutral', 'fading', 'reversed')
    or (r.label is not null and r.raw_label is null);

-- expectation: regime_days_in_label
-- severity: critical
-- sentence: The days in a label are not counted from the session on which it took effect, or are given without a
--   label.
with numbered as (
    select *, row_number() over w as row_number, lag(label) over w as previous_label, lag(days_in_label) over w as previous_days
    from signals.rotation_regime
    window w as (order by session)
)
select 'signals' as symbol, r.session, r.label, r.previous_label, r.days_in_label, r.previous_days, r.label_since
from numbered as r
left join numbered as since on since.session = r.label_since
where r.days_in_label < 1
    or r.days_in_label is distinct from
        case when r.label = r.previous_label then r.previous_days + 1 when r.label is not null then 1 end
    or since.row_number is distinct from r.row_number - r.days_in_label + 1;

-- expectation: every_number_finite
-- severity: critical
-- sentence: A number of the table is infinite or not a number.
select 'signals' as symbol, session from signals.rotation_regime
where not (isfinite(score));
