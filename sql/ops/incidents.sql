-- ops.incidents: open incidents, as `rotation status` lists them: `from ops.incidents()`. An incident is open while its
--   newest alert is not a recovery; notices are not incidents.
-- grain: fingerprint
-- sources: ops.alerts
-- lookback: all; an incident is open until it is over
-- null: session of an incident without one
-- formula: in version 0.1 each expectation that set rows aside was an incident of its own, `set-aside:<dataset>:<expectation>`; those of
--   one dataset count as the one incident that they are now
create or replace macro ops.incidents() as table
with alerts as (
    select * replace (case when fingerprint like 'set-aside:%' then 'set-aside:' || split_part(fingerprint, ':', 2) else fingerprint end as fingerprint)
    from ops.alerts
    where kind <> 'notice'
),

numbered as (
    select *, max(created_at) filter (kind = 'recovery') over (partition by fingerprint) as recovered_at
    from alerts
)

select
    fingerprint,
    arg_max(severity, created_at) as severity,
    coalesce(arg_max(title, created_at) filter (kind = 'failure'), arg_max(title, created_at)) as title,
    min(coalesce(since, created_at)) as since,
    max(created_at) as alerted_at,
    max(session) as session,
    max(run_id) as run_id,
    count(*) as alerts
from numbered
where recovered_at is null or created_at > recovered_at
group by fingerprint
order by severity, since, fingerprint
