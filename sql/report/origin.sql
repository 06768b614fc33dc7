-- report.origin: the origin of the report's data: the session, the run that published it, and when its newest data was fetched.
-- grain: one row
-- sources: signals.rotation_regime, core.sessions, ops.runs, raw.prices, raw.fund_nav, raw.fund_facts, raw.holdings, raw.earnings_growth
-- null: session where the warehouse has none such; code_version and source where the ledger of runs holds no published run
with published as (
    from ops.runs where published order by run_id desc limit 1
),

fetched as (
    select max(known_at) as known_at from raw.prices
    union all
    select max(known_at) from raw.fund_nav
    union all
    select max(known_at) from raw.fund_facts
    union all
    select max(known_at) from raw.holdings
    union all
    select max(known_at) from raw.earnings_growth
),

asked as (
    select max(session) as session from signals.rotation_regime where session <= coalesce(getvariable('session'), session)
),

newest_bar as (
    select arg_max(run_id, known_at) as run_id, arg_max(source, known_at) as source, coalesce(bool_or(source = 'sample'), false) as is_simulated
    from raw.prices
)

select
    a.session,
    (select min(session) from signals.rotation_regime) as first_session,
    (select max(session) from signals.rotation_regime) as last_session,
    (select max(session) from core.sessions) = a.session as is_latest,
    (select max(known_at) from fetched) as known_at,
    coalesce(p.run_id, n.run_id) as run_id,
    coalesce(p.source, n.source) as source,
    p.code_version,
    n.is_simulated
from newest_bar as n
cross join asked as a
left join published as p on true
