-- core.context: interest rates, the yield curve, volatility, the dollar and credit. They describe the market; no signal reads them.
-- grain: symbol, session
-- sources: core.instruments, core.prices, core.sessions, fn.prices_known_of
-- lookback: 1260 rows; the ratio of credit is rebased on the first common session of its two funds
-- null: change_* where the level was not known on the session 21 or 63 back, percentile_5y before the 1260th row; a session has no row where
--   the source has no value, as on the bond market's own holidays
-- formula: change = level - level that many sessions back, of `dollar`, `credit` and `other` divided by the latter: levels of rates can be 0;
--   curve = rate_10y - rate_3m; credit = 100 x TRI of the high-yield fund / TRI of the treasury fund, 100 on their first common session;
--   percentile = 100 x rows of the window with a lower level / (rows - 1), as in signals.relative_strength
-- columns:
--   symbol: of the index; the two symbols with - or / between them for curve and credit
--   session: XNYS trading date
--   measure: rate_10y, rate_3m, curve, volatility, dollar, credit, or other for an index of another peer group
--   close: level, in `unit`
--   unit: percent (a year), percentage points, or index points
--   change_1m: over 21 sessions, in `change_unit`
--   change_3m: over 63 sessions, in `change_unit`
--   change_unit: percentage points, index points, or fraction
--   percentile_5y: 0 to 100, place of the level among the last 1260 rows
with measures as (
    select
        symbol,
        case when peer_group in ('rate_10y', 'rate_3m', 'volatility', 'dollar') then peer_group else 'other' end as measure
    from core.instruments
    where kind = 'index'
),

indexes as (
    select m.symbol, k.session, m.measure, k.close
    from measures as m
    join fn.prices_known_of('infinity'::timestamptz, (select list(symbol) from measures)) as k on k.symbol = m.symbol
    where isfinite(k.close)
),

-- Of several indexes with one measure, the first by name is used.
curve as (
    select long.symbol || '-' || short.symbol as symbol, session, 'curve' as measure, long.close - short.close as close
    from (from indexes where symbol = (select min(symbol) from measures where measure = 'rate_10y')) as long
    join (from indexes where symbol = (select min(symbol) from measures where measure = 'rate_3m')) as short using (session)
),

legs as (
    select
        (select min(symbol) from core.instruments where peer_group = 'high_yield') as high_yield,
        (select min(symbol) from core.instruments where peer_group = 'treasury') as treasury
),

quotients as (
    select
        legs.high_yield || '/' || legs.treasury as symbol, h.session, h.total_return_index / t.total_return_index as quotient
    from legs
    join core.prices as h on h.symbol = legs.high_yield
    join core.prices as t on t.symbol = legs.treasury and t.session = h.session
),

credit as (
    select symbol, session, 'credit' as measure, 100 * quotient / first(quotient) over (order by session rows unbounded preceding) as close
    from quotients
),

levels as (
    select l.symbol, l.session, l.measure, l.close, s.session_number, l.measure in ('dollar', 'credit', 'other') as is_relative
    from (from indexes union all by name from curve union all by name from credit) as l
    join core.sessions as s using (session)
),

-- A frame of one session: empty, hence NULL, where the level was not known exactly n sessions back.
based as (
    select
        *,
        first(close) over (numbered range between 21 preceding and 21 preceding) as close_1m,
        first(close) over (numbered range between 63 preceding and 63 preceding) as close_3m,
        case when count(*) over last_1260 = 1260 then 100 * percent_rank(order by close) over last_1260 end as percentile_5y
    from levels
    window
        numbered as (partition by symbol order by session_number),
        last_1260 as (partition by symbol order by session rows 1259 preceding)
)

select
    symbol,
    session,
    measure,
    close,
    case
        when measure in ('rate_10y', 'rate_3m') then 'percent'
        when measure = 'curve' then 'percentage points'
        else 'index points'
    end as unit,
    (close - close_1m) / case when is_relative then nullif(close_1m, 0) else 1 end as change_1m,
    (close - close_3m) / case when is_relative then nullif(close_3m, 0) else 1 end as change_3m,
    case
        when is_relative then 'fraction'
        when measure = 'volatility' then 'index points'
        else 'percentage points'
    end as change_unit,
    percentile_5y
from based
order by symbol, session
