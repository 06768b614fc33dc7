-- signals.verdict_changes: what changed since the session before: label, states and verdicts.

-- expectation: verdict_changes_complete
-- severity: critical
-- sentence: A change of label, state or verdict is missing, is there twice, or did not happen.
with states as (
    select session, subject, state
    from (select session, label, size_state, leadership_state, support_state from signals.rotation_regime)
    unpivot include nulls (state for subject in (label, size_state, leadership_state, support_state))
    union all
    select session, evidence, case verdict when 1 then 'for' when -1 then 'against' when 0 then 'neither' end from signals.rotation_evidence
),
steps as (
    select
        session, subject, state as new, lag(state) over (partition by subject order by session) as old,
        row_number() over (partition by subject order by session) as place
    from states
),
wanted as (
    select session, subject, old, new from steps where place > 1 and old is distinct from new
),
found as (
    select session, subject, old, new from signals.verdict_changes
)
select subject as symbol, session, old, new from (from wanted except all from found)
union all
select subject, session, old, new from (from found except all from wanted);
