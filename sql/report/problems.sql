-- report.problems: open problems: a run that did not publish, failed expectations of the last published run, quarantined rows, dead sources,
--   unsent alerts.
-- grain: problem, dataset, subject
-- sources: ops.runs, ops.validations, ops.quarantine, ops.alerts, core.fund_flows
-- null: dataset and affected where they do not apply; severity of what has none
-- columns: problem, in words; severity; dataset; subject, the expectation, source or alert; affected rows; sentence, what is wrong; example;
--   open_problems and critical_problems in all, the same in each row
with last_run as (
    from ops.runs order by run_id desc limit 1
),

failed as (
    select v.*
    from ops.validations as v
    where v.run_id = (select max(run_id) from ops.runs where published) and not v.success
),

set_aside as (
    select
        dataset,
        expectation,
        count(*) as affected,
        min(reason) as reason,
        string_agg(coalesce(symbol, '?') || coalesce(' ' || strftime(session, '%Y-%m-%d'), ''), ', ' order by session desc, symbol)
            filter (place <= 3) as example
    from (
        select *, row_number() over (partition by dataset, expectation order by session desc, symbol) as place
        from ops.quarantine
        where resolved_at is null and coalesce(session <= getvariable('session'), true)
    )
    group by dataset, expectation
),

last_flows as (
    from core.fund_flows
    where session <= getvariable('session')
    qualify row_number() over (partition by symbol order by session desc) = 1
),

dead as (
    select source, count(*) as affected, string_agg(symbol, ', ' order by symbol) as example
    from last_flows
    where null_reason = 'dead source'
    group by source
),

problems as (
    select
        1 as place, 'Run did not publish' as problem, 'critical' as severity, null as dataset, run_id as subject, null::bigint as affected,
        message as sentence, null as example
    from last_run
    where status in ('blocked', 'failed')
    union all
    select
        2, case when raised then 'Could not be checked' else 'Expectation failed' end, severity, dataset, expectation, unexpected_count,
        details, observed
    from failed
    union all
    select 3, 'Rows set aside', 'warning', dataset, expectation, affected, reason, example
    from set_aside
    union all
    select 4, 'Dead source', 'warning', 'fund_nav', source, affected, 'The share counts stand still, so flows are not known.', example
    from dead
    union all
    select 5, 'Alert not sent', severity, null, kind, null, title, null
    from ops.alerts
    where sent_at is null
)

select * exclude (place), count(*) over () as open_problems, count(*) filter (severity = 'critical') over () as critical_problems
from problems
order by place, case severity when 'critical' then 1 when 'warning' then 2 else 3 end, dataset, subject, sentence
