-- stage.second_requests: the symbols whose prices this run also requests from a second source, to compare them: those with an open difference, and
--   the next ones in turn.
-- grain: symbol
-- sources: stage.universe, stage.sessions, stage.answers, ops.reconciliations
-- lookback: all; the open differences
-- null: none
-- formula: the symbols that were answered are numbered; with n symbols a session, session number s takes n of them from s x n on, and after the last
--   the first again, so that each has its turn within (symbols / n) sessions
-- columns:
--   symbol: ticker
--   start_session: the tenth last session, or the oldest one with an open difference
--   end_session: the session of the run
--   source: source that answered in this run, null where only one source answers
with sessions as (
    select session, row_number() over (order by session) as session_number
    from stage.sessions
    where session <= getvariable('target_session')
),

answered as (
    select a.symbol, a.source, row_number() over (order by a.symbol) - 1 as place, count(*) over () as symbols
    from stage.answers as a
    semi join stage.universe as u on u.symbol = a.symbol
    where a.dataset = 'prices' and a.error is null
),

open_differences as (
    select symbol, min(session) as oldest
    from ops.reconciliations
    where dataset = 'prices' and resolved_at is null
    group by symbol
),

newest as (
    select max(session_number) as session_number from sessions
),

chosen as (
    select a.symbol, a.source, d.oldest
    from answered as a
    cross join newest as n
    left join open_differences as d on d.symbol = a.symbol
    where d.symbol is not null or (a.place - n.session_number * getvariable('reconcile_symbols')) % a.symbols + case
        when (a.place - n.session_number * getvariable('reconcile_symbols')) % a.symbols < 0 then a.symbols else 0
    end < getvariable('reconcile_symbols')
    order by d.symbol is null, a.place
    limit getvariable('reconcile_symbols')
)

select
    c.symbol,
    least((select min(s.session) from sessions as s, newest as n where s.session_number > n.session_number - 10), c.oldest) as start_session,
    getvariable('target_session') as end_session,
    c.source
from chosen as c
order by c.symbol
