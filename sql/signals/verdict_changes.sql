-- signals.verdict_changes: changes since the session before: the label, the states in force, and the verdicts of the evidence.
-- grain: session, subject
-- sources: signals.rotation_regime, signals.rotation_evidence
-- lookback: 1 session
-- null: old or new where it is not known that session
-- formula: a row where old is distinct from new; the first session has none
-- columns:
--   session: XNYS trading date
--   subject: label, size_state, leadership_state, support_state, or the evidence
--   old: label, state, or verdict (for, against or neither) of the session before
--   new: that of the session
--   detail: the reason, as a sentence
with regime as (
    select session, label, size_state, leadership_state, support_state, size_score, leadership_score
    from signals.rotation_regime
),

states as (
    select session, subject, state
    from regime
    unpivot include nulls (state for subject in (label, size_state, leadership_state, support_state))
),

subjects as (
    select
        s.session,
        s.subject,
        s.state,
        case s.subject
            when 'size_state' then 'Size score: ' || coalesce(format('{:+.2f}', r.size_score), 'not known') || '.'
            when 'leadership_state' then 'Leadership score: ' || coalesce(format('{:+.2f}', r.leadership_score), 'not known') || '.'
            when 'support_state' then 'Support by flows and earnings: ' || coalesce(r.support_state, 'not known') || '.'
            else
                'Size: ' || coalesce(r.size_state, 'not known') || '; leadership: ' || coalesce(r.leadership_state, 'not known')
                || '; support: ' || coalesce(r.support_state, 'not known') || '.'
        end as detail
    from states as s
    join regime as r using (session)
    union all
    select session, evidence, case verdict when 1 then 'for' when -1 then 'against' when 0 then 'neither' end, detail
    from signals.rotation_evidence
),

compared as (
    select session, subject, lag(state) over w as old, state as new, detail, row_number() over w as place
    from subjects
    window w as (partition by subject order by session)
)

select session, subject, old, new, detail
from compared
where place > 1 and old is distinct from new
order by session, subject
