-- stage.answers: whether the answers of the sources, after rows were set aside, cover enough of the universe to
--   publish.
-- dataset: prices

-- expectation: most_symbols_answered
-- severity: critical
-- sentence: More than a fifth of the symbols that signals.breadth counts got no usable answer from the source. Funds followed for their
--   flows or for context do not count.
with counted as (from stage.universe where in_breadth),
unanswered as (
    from stage.answers as a
    semi join counted as c on c.symbol = a.symbol
    where a.dataset = 'prices' and a.error is not null
)
select symbol, null::date as session, error
from unanswered
where (select count(*) from unanswered) > 0.2 * (select count(*) from counted);

-- expectation: session_has_bars
-- severity: critical
-- column: session
-- sentence: No symbol has a bar for a session of the calendar. If the exchange was closed that day, accept it with
--   `rotation closures accept DATE --because TEXT`; if it was open, the source is late or the clock of this machine is ahead.
with last_sessions as (
    select session from stage.sessions where session <= getvariable('target_session') order by session desc limit 10
),
with_bar as (
    select session
    from fn.prices_known_since('infinity'::timestamptz, (select min(session) from last_sessions))
    union select session::date as session from stage.fetched_prices where close is not null
)
select null::varchar as symbol, session
from last_sessions
anti join with_bar using (session);

-- expectation: benchmark_complete
-- severity: critical
-- column: session
-- sentence: A benchmark has no good bar for one of the last ten sessions for which other symbols have one, so nothing can be
--   measured against it.
with benchmarks as (select distinct benchmark as symbol from stage.universe where benchmark is not null),
last_sessions as (
    select session from stage.sessions where session <= getvariable('target_session') order by session desc limit 10
),
known as (
    select symbol, session
    from fn.prices_known_since('infinity'::timestamptz, (select min(session) from last_sessions))
    union select symbol, session from stage.prices where not is_withdrawn
),
with_bar as (
    select session from known
    union select session::date as session from stage.fetched_prices where close is not null
)
select b.symbol, s.session
from benchmarks as b
join stage.universe as u on u.symbol = b.symbol
join last_sessions as s on s.session >= coalesce(u.inception, s.session)
semi join with_bar on with_bar.session = s.session
anti join known on known.symbol = b.symbol and known.session = s.session;
