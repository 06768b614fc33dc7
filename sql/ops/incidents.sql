-- ops.incidents: what was alerted and is not over yet, as `rotation status` lists it: `from ops.incidents()`. An incident is open while its
--   newest alert is no recovery.
-- grain: fingerprint
-- sources: ops.alerts
-- null: session of an incident without one
create or replace macro ops.incidents() as table
with numbered as (
    select *, max(created_at) filter (kind = 'recovery') over (partition by fingerprint) as recovered_at
    from ops.alerts
)

select
    fingerprint,
    arg_max(severity, created_at) as severity,
    coalesce(arg_max(title, created_at) filter (kind = 'failure'), arg_max(title, created_at)) as title,
    min(coalesce(since, created_at)) as since,
    max(created_at) as alerted_at,
    max(session) as session,
    count(*) as alerts
from numbered
where recovered_at is null or created_at > recovered_at
group by fingerprint
order by severity, since, fingerprint
