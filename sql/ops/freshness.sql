-- ops.freshness: how far each dataset is behind the exchange's calendar. `due_sessions` are the sessions that are over at the requested
--   time; null: those up to the last published run: `from ops.freshness(null)`.
-- grain: dataset
-- sources: core.sessions, core.instruments, core.prices, core.fund_nav, core.fund_facts, core.holdings, core.earnings_growth, core.fund_flows,
--   ops.datasets
-- lookback: all; the newest record of each symbol
-- null: latest_session and sessions_behind while there are no prices; other datasets have a row only where they have data
-- formula: ops.datasets says how many sessions old a record may be. symbols_behind lack what was due at the last published run;
--   dead_sources are those whose share counts stand still, with their funds
create or replace macro ops.freshness(due_sessions) as table
with due as (
    select session, row_number() over (order by session desc) - 1 as age_sessions
    from (select unnest(coalesce(due_sessions::date[], (select list(session) from core.sessions))) as session)
),

newest as (
    select 'prices' as dataset, i.symbol, i.inception, p.day, p.source
    from core.instruments as i
    left join (
        select symbol, max(session) as day, arg_max(source, session) as source from core.prices group by symbol
    ) as p using (symbol)
    where i.kind <> 'index'
    union all
    select 'fund_nav', symbol, null, max(session), arg_max(source, session) from core.fund_nav group by symbol
    union all
    select 'fund_facts', symbol, null, max(as_of), arg_max(source, as_of) from core.fund_facts group by symbol
    union all
    select 'holdings', fund_symbol, null, max(as_of), arg_max(source, as_of) from core.holdings group by fund_symbol
    union all
    select 'earnings_growth', symbol, null, max(as_of), arg_max(source, as_of) from core.earnings_growth group by symbol
),

aged as (
    select n.*, coalesce(own.max_age_sessions, general.max_age_sessions) as max_age_sessions
    from newest as n
    join ops.datasets as general on general.dataset = n.dataset and general.source is null
    left join ops.datasets as own on own.dataset = n.dataset and own.source = n.source
),

compared as (
    select a.*, s.session as due_day, max(a.day) over (partition by a.dataset) as latest_session
    from aged as a
    join core.sessions as s on s.session_number = (select max(session_number) from core.sessions) - a.max_age_sessions
),

counted as (
    select
        dataset,
        latest_session,
        -- Of the sources with the newest day, the one with the largest maximum age decides when the next is due.
        coalesce(max(max_age_sessions) filter (day = latest_session), max(max_age_sessions)) as max_age_sessions,
        -- A symbol that is not listed yet is not behind.
        count(*) filter (coalesce(day < due_day, inception <= due_day, true)) as symbols_behind
    from compared
    group by dataset, latest_session
),

last_flows as (
    select symbol, arg_max_null(source, session) as source, arg_max_null(null_reason, session) as null_reason
    from core.fund_flows
    group by symbol
),

dead as (
    select 'fund_nav' as dataset, source || ' (' || string_agg(symbol, ', ' order by symbol) || ')' as label
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
    (select coalesce(list(label order by label), []) from dead where dead.dataset = c.dataset) as dead_sources
from counted as c
left join due as e on e.age_sessions = c.max_age_sessions
order by c.dataset <> 'prices', c.dataset
