-- report.problems: open problems: a run that did not publish, failed expectations of the last published run, quarantined rows by dataset, dead
--   sources, unsent alerts. One fact is one problem.
-- grain: problem, dataset, subject
-- sources: ops.runs, ops.validations, ops.quarantine, ops.alerts, core.fund_flows
-- null: dataset and affected where they do not apply; severity of what has none
-- columns: problem, in words; severity; dataset; subject, the expectations or the source; affected rows or alerts; sentence, what is wrong; example;
--   open_problems and critical_problems in all, the same in each row
with last_run as (
    from ops.runs order by run_id desc limit 1
),

entries as (
    select *, run_id = (select max(run_id) from ops.runs where published) as is_new
    from ops.quarantine
    where resolved_at is null and coalesce(session <= getvariable('session'), true)
),

-- What an expectation set aside is listed once, as rows set aside.
failed as (
    select v.*
    from ops.validations as v
    anti join entries as e on e.dataset = v.dataset and e.expectation = v.expectation
    where v.run_id = (select max(run_id) from ops.runs where published) and not v.success
),

-- A row that fails several checks is one row. Share counts that stand still are a problem of their source, not of each fund.
rejected as (
    select dataset, symbol, session, bool_or(is_new) as is_new, list(expectation) as expectations, arg_max(reason, run_id) as reason
    from entries
    where expectation <> 'share_counts_alive'
    group by dataset, symbol, session
),

-- The newest ones are the example, and give the sentence.
set_aside as (
    select
        dataset,
        count(*) as affected,
        count(*) filter (is_new) as new,
        array_to_string(list_sort(list_distinct(flatten(list(expectations)))), ', ') as checks,
        arg_min(reason, place) as reason,
        string_agg(coalesce(symbol, '?') || coalesce(' ' || strftime(session, '%Y-%m-%d'), ''), ', ' order by place) filter (place <= 3) as example
    from (
        select *, row_number() over (partition by dataset order by is_new desc, session desc nulls first, symbol) as place
        from rejected
    )
    group by dataset
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
        2, case when raised then 'Could not be checked' when severity = 'info' then 'For information' else 'Expectation failed' end, severity, dataset, expectation, unexpected_count,
        details, observed
    from failed
    union all
    select
        3, 'Rows set aside', 'warning', dataset, checks, affected,
        case when new = 0 then 'None is new. ' when new < affected then new || ' of them new. ' else '' end || reason, example
    from set_aside
    union all
    select 4, 'Dead source', 'warning', 'fund_nav', source, affected, 'The share counts stand still, so flows are not known.', example
    from dead
    union all
    select 5, 'Alerts not sent', min(severity), null, null, count(*), arg_max(title, created_at), null
    from ops.alerts
    where sent_at is null
    having count(*) > 0
)

select * exclude (place), count(*) over () as open_problems, count(*) filter (severity = 'critical') over () as critical_problems
from problems
order by place, case severity when 'critical' then 1 when 'warning' then 2 else 3 end, dataset, subject, sentence
