-- signals.rotation_regime: the scores, the states in force and the label of the regime.

-- expectation: regime_scores
-- severity: critical
-- sentence: A score or a state of the day is not what the verdicts of its axis give.
with recounted as (
    select
        e.session,
        max(e.value) filter (e.axis = 'size') as size_score,
        max(e.verdict) filter (e.axis = 'size') as size_verdict,
        avg(e.verdict) filter (e.axis = 'leadership') as mean_verdict,
        count(e.verdict) filter (e.axis = 'leadership') as known_verdicts,
        sign(sum(e.verdict) filter (e.axis = 'support')) as support
    from signals.rotation_evidence as e
    group by e.session
)
select 'signals' as symbol, r.session, r.size_score, r.size_state_today, r.leadership_score, r.leadership_state_today, r.support_state
from signals.rotation_regime as r
left join recounted as c on c.session = r.session
join core.thresholds as t on t.subject = 'regime' and t.outcome = 'known'
left join core.regime_states as z on z.axis = 'size' and z.state = r.size_state_today
left join core.regime_states as l on l.axis = 'leadership' and l.state = r.leadership_state_today
left join core.regime_states as p on p.axis = 'support' and p.state = r.support_state
where r.size_score is distinct from c.size_score
    or z.value is distinct from c.size_verdict
    or (r.leadership_score is not null) <> fn.satisfies(coalesce(c.known_verdicts, 0), t.comparison, t.level)
    or abs(r.leadership_score - c.mean_verdict) > 1e-12
    or l.value is distinct from sign(r.leadership_score)
    or p.value is distinct from c.support;

-- expectation: regime_states_in_force
-- severity: critical
-- sentence: A state in force moved although the last five sessions do not all lie on one side of it, or stayed
--   although they do.
with days as (
    select 'size' as axis, session, size_state as state, size_state_today as today from signals.rotation_regime
    union all
    select 'leadership', session, leadership_state, leadership_state_today from signals.rotation_regime
),
valued as (
    select d.axis, d.session, f.value as state, t.value as today
    from days as d
    left join core.regime_states as f on f.axis = d.axis and f.state = d.state
    left join core.regime_states as t on t.axis = d.axis and t.state = d.today
),
stepped as (
    select
        *, lag(state) over w as before,
        count(*) over five as counted, count(today) over five as known, min(today) over five as low, max(today) over five as high,
        median(today) over five as middle
    from valued
    window w as (partition by axis order by session), five as (partition by axis order by session rows 4 preceding)
)
select axis as symbol, session, before, state, known, low, high
from stepped
where state is distinct from case
    when counted = 5 and known = 0 then null
    when counted < 5 or (known < 5 and before is null) then null
    when known < 5 then before
    when before is null then middle
    else greatest(low, least(high, before))
end;

-- expectation: regime_labels
-- severity: critical
-- sentence: A label or state is not one of its names, or the label does not follow from the states in force.
select 'signals' as symbol, r.session, r.label, r.size_state, r.leadership_state, r.support_state
from signals.rotation_regime as r
where r.label is distinct from core.regime_label(r.size_state, r.leadership_state, r.support_state)
    or (r.label is null) <> (r.size_state is null)
    or r.size_state not in (select state from core.regime_states where axis = 'size')
    or r.leadership_state not in (select state from core.regime_states where axis = 'leadership')
    or r.support_state not in (select state from core.regime_states where axis = 'support')
    or r.label not in (select state from core.regime_states where axis = 'label')
    or not coalesce(r.size_sessions_differing >= 0 and r.leadership_sessions_differing >= 0, false)
    or (r.size_sessions_differing > 0) <> coalesce(r.size_state <> r.size_state_today, false)
    or (r.leadership_sessions_differing > 0) <> coalesce(r.leadership_state <> r.leadership_state_today, false)
    or (r.size_state_since is null) <> (r.size_state is null) or r.size_state_since > r.session
    or (r.leadership_state_since is null) <> (r.leadership_state is null) or r.leadership_state_since > r.session;

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
where not (isfinite(size_score) and isfinite(leadership_score));
