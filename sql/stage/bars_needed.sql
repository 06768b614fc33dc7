-- stage.bars_needed: the bars before the first changed session from which core.prices is computed from that session on. The total-return index is
--   carried on from a symbol's first and last close and its distributions: their ex-dates, and the bars before them. NULL stands for all bars.
-- grain: symbol, session
-- sources: core.prices, core.sessions, raw.price_events
-- lookback: all; the first bar and all distributions of each symbol
-- null: session of a symbol that lacks the bar of the session before a distribution: the bar before is then an older one
-- columns:
--   symbol: ticker
--   session: XNYS trading date
with earlier as (
    select symbol, session, dividend
    from core.prices
    where session < getvariable('changed_since')
),

spans as (
    select symbol, min(session) as first_session, max(session) as last_session
    from earlier
    group by symbol
),

distributions as (
    select symbol, session from earlier where dividend is distinct from 0
    union
    select symbol, event_date from raw.price_events
),

before as (
    select d.symbol, s.previous_session as session
    from distributions as d
    join core.sessions as s using (session)
    join spans as p on p.symbol = d.symbol and d.session > p.first_session
),

irregular as (
    select symbol from before anti join earlier using (symbol, session)
)

select symbol, first_session as session from spans
union
select symbol, last_session from spans
union
from distributions
union
from before
union
select symbol, null from irregular
order by symbol, session
