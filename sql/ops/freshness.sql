-- ops.freshness: how far each dataset is behind the exchange's calendar. `due_sessions` are the sessions that are over at the moment asked
--   about; null: those up to the last published run: `from ops.freshness(null)`.
-- grain: dataset
-- sources: core.sessions, core.instruments, core.prices, core.fund_nav, core.fund_facts, core.holdings, core.earnings_growth, core.fund_flows
-- lookback: 5 sessions
-- null: latest_session and sessions_behind while there are no prices; other datasets have a row only where they have data
-- formula: issuers publish a session on the day after it, and holdings and estimates are asked once a week: so many sessions old they may be.
--   symbols_behind lack what was due at the last published run; dead_sources are those whose share counts stand still, with their funds
create or replace macro ops.freshness(due_sessions) as table
with due as (
    select session, row_number() over (order by session desc) - 1 as age_sessions
    from (select unnest(coalesce(due_sessions::date[], (select list(session) from core.sessions))) as session)
),

newest as (
    select 'prices' as dataset, 0 as max_age_sessions, i.symbol, i.inception, p.day
    from core.instruments as i
    left join (select symbol, max(session) as day from core.prices group by symbol) as p using (symbol)
    union all
    select 'fund_nav', 1, symbol, null, max(session) from core.fund_nav group by symbol
    union all
    select 'fund_facts', 0, symbol, null, max(as_of) from core.fund_facts group by symbol
    union all
    select 'holdings', 5, fund_symbol, null, max(as_of) from core.holdings group by fund_symbol
    union all
    select 'earnings_growth', 5, symbol, null, max(as_of) from core.earnings_growth group by symbol
),

compared as (
    select n.*, s.session as due_day
    from newest as n
    join core.sessions as s on s.session_number = (select max(session_number) from core.sessions) - n.max_age_sessions
),

counted as (
    select
        dataset,
        max_age_sessions,
        max(day) as latest_session,
        -- A symbol that is not listed yet is not behind.
        count(*) filter (coalesce(day < due_day, inception <= due_day, true)) as symbols_behind
    from compared
    group by dataset, max_age_sessions
),

last_flows as (
    select symbol, arg_max_null(source, session) as source, arg_max_null(null_reason, session) as null_reason
    from core.fund_flows
    group by symbol
),

dead as (
    select 'fund_nav' as dataset, source || ' (' || string_agg(symbol, ', ' order by symbol) || ')' as told
    from last_flows
    where null_reason = 'dead source' and source is not null
    group by source
)

select
    c.dataset,
    c.latest_session,
    e.session as expected_session,
    case
        when c.latest_session is not null
            then (select count(*) from due as d where d.session > c.latest_session and d.session <= e.session)
    end as sessions_behind,
    c.symbols_behind,
    (select coalesce(list(told order by told), []) from dead where dead.dataset = c.dataset) as dead_sources
from counted as c
left join due as e on e.age_sessions = c.max_age_sessions
order by c.dataset <> 'prices', c.dataset
