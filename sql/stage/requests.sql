-- stage.requests: the requests of this run. A symbol without missing data is not requested.
-- grain: dataset, symbol
-- sources: stage.universe, stage.sessions, stage.offers, stage.backfill, fn.prices_known_at, raw.fund_nav, raw.fund_facts, raw.holdings,
--   ops.quarantine_entries
-- lookback: all; the newest record of each symbol
-- null: known_source of other datasets, and where no price is known
-- formula: prices are requested from 10 sessions before the last known price, so that a restatement is seen; from the session
--   before the earliest bar in quarantine, with which the audit compares it, if that is within 63 sessions, so that it can be corrected or was
--   accepted. Fund records are requested as a whole, since an issuer's file is one.
--   A backfill also requests all of its range, even if it is known
-- columns:
--   dataset: requested dataset
--   symbol: ticker
--   start_session: first session requested
--   end_session: last session requested: the session of the run, or the end of the backfill where nothing else is missing
--   is_full_history: the symbol has no prices yet
--   known_source: source of the symbol's newest bar, which is requested before all others
with numbered as (
    select session, row_number() over (order by session) as session_number
    from stage.sessions
    where session <= getvariable('target_session')
),

known as (
    select
        symbol,
        max(session) as last_session,
        least(max(session), getvariable('target_session')) as last_known,
        arg_max(source, session) as known_source
    from fn.prices_known_at('infinity'::timestamptz)
    group by symbol
),

overlap as (
    select k.symbol, first.session as start_session
    from known as k
    asof join numbered as last on last.session <= k.last_known
    join numbered as first on first.session_number = greatest(1, last.session_number - 9)
),

recent as (
    select session
    from numbered
    where session_number > (select max(session_number) - 63 from numbered)
),

quarantined as (
    select q.symbol, min(coalesce(before.session, q.session)) as earliest
    from ops.quarantine_entries() as q
    asof left join numbered as before on before.session < q.session
    where q.dataset = 'prices' and q.resolved_at is null
        and (q.session is null or q.session >= (select min(session) from recent) or q.accepted_at is not null)
    group by q.symbol
),

prices as (
    select
        'prices' as dataset,
        u.symbol,
        k.symbol is null as is_full_history,
        k.known_source,
        k.symbol is null or k.last_session < getvariable('target_session') or q.symbol is not null as is_due,
        case
            when k.symbol is null then getvariable('history_start')
            when is_due then least(o.start_session, q.earliest, b.start_session)
            else b.start_session
        end as start_session,
        case when is_due then getvariable('target_session') else b.end_session end as end_session
    from stage.universe as u
    left join known as k using (symbol)
    left join overlap as o using (symbol)
    left join quarantined as q using (symbol)
    left join stage.backfill as b using (symbol)
    where coalesce(u.inception <= getvariable('target_session'), true) and (is_due or b.symbol is not null)
),

newest as (
    select 'fund_nav' as dataset, symbol, max(session) as newest from raw.fund_nav group by symbol
    union all
    select 'fund_facts' as dataset, symbol, max(as_of) as newest from raw.fund_facts group by symbol
    union all
    select 'holdings' as dataset, fund_symbol as symbol, max(as_of) as newest from raw.holdings group by fund_symbol
),

funds as (
    select
        o.dataset,
        o.symbol,
        (select min(session) from numbered) as start_session,
        getvariable('target_session') as end_session,
        false as is_full_history,
        null as known_source
    from stage.offers as o
    join stage.universe as u on u.symbol = o.symbol
    left join stage.backfill as b on b.symbol = o.symbol and o.dataset = 'fund_nav'
    left join newest as n on n.dataset = o.dataset and n.symbol = o.symbol
    join numbered as due on due.session_number = (select max(session_number) from numbered) - o.max_age_sessions
    where coalesce(u.inception <= getvariable('target_session'), true)
        and (coalesce(n.newest < due.session, true) or b.symbol is not null)
)

select dataset, symbol, start_session, end_session, is_full_history, known_source
from (from prices union all by name from funds)
order by dataset = 'prices' desc, dataset, symbol
