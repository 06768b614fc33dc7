-- signals.breadth: market breadth, one row per session since the first with prices.
-- grain: session
-- rows: every session since the first price
-- sources: core.sessions, core.instruments, core.prices, core.returns, core.sector_returns, fn.difference_beyond_rounding
-- lookback: 200 rows; and the first session of each symbol
-- incremental: by session; a mean over 200 rows is only compared, and the last digits, which depend on the rows around, do not matter
-- null: missing_symbols where missing is 0; sectors_* where no sector's window is full; equal_minus_cap_3m where either 3m return is not known; universe_above_200d_pct where
--   counted is 0. A symbol that is not listed yet, has no price that session or no full window does not count, and does not reduce the count
-- formula: above = total-return index > its mean over the symbol's last 200 rows, equal to it within 1e-12 is not above; the equal-weight fund
--   is that of the peer group equal_weight (RSP), cap-weighted is its benchmark (SPY). Only instruments that the universe marks in_breadth
--   count, so that a fund added for another purpose does not change the counts
-- columns:
--   session: XNYS trading date
--   sectors_beating_spy_3m: sectors whose 3m return exceeds their benchmark's (SPY)
--   sectors_above_200d: sectors whose total-return index is above its 200-session mean
--   equal_minus_cap_3m: fraction, 3m return of the equal-weight fund less that of the cap-weighted
--   universe_above_200d_pct: percent of the counted symbols that are above their 200-session mean
--   counted: symbols in_breadth with a price and a full 200-session window
--   missing: symbols in_breadth listed by then without a price that session
--   sectors_counted_3m: sectors whose 3m excess is known
--   sectors_counted_200d: sectors with a full 200-session window
--   missing_symbols: the symbols that missing counts, in order, separated by commas
with followed as (
    select session
    from core.sessions
    where session >= (select min(session) from core.prices)
),

counting as (
    from core.instruments where in_breadth
),

averaged as (
    select
        p.symbol,
        p.session,
        p.total_return_index as tri,
        case when count(p.total_return_index) over last_200 = 200 then avg(p.total_return_index) over last_200 end as ma200
    from core.prices as p
    semi join counting as i on i.symbol = p.symbol
    window last_200 as (partition by p.symbol order by p.session rows 199 preceding)
),

above as (
    select
        a.session,
        count(a.ma200) as counted,
        count(*) filter (fn.difference_beyond_rounding(a.tri, a.ma200) > 0) as symbols_above,
        count(a.ma200) filter (i.kind = 'sector') as sectors_counted,
        count(*) filter (i.kind = 'sector' and fn.difference_beyond_rounding(a.tri, a.ma200) > 0) as sectors_above
    from averaged as a
    join counting as i using (symbol)
    group by a.session
),

beating as (
    select r.session, count(*) filter (r.excess_3m > 0) as sectors, count(r.excess_3m) as counted
    from core.sector_returns as r
    semi join counting as i on i.symbol = r.symbol
    group by r.session
),

equal_weight as (
    select r.session, r.return_3m - b.return_3m as equal_minus_cap_3m
    from core.returns as r
    join core.instruments as i on i.symbol = r.symbol
    join core.returns as b on b.symbol = i.benchmark and b.session = r.session
    where r.symbol = (select min(symbol) from core.instruments where peer_group = 'equal_weight')
),

-- If the universe file has no inception, the first price counts.
first_days as (
    select i.symbol, coalesce(least(i.inception, p.first_session), i.inception, p.first_session) as first_day
    from counting as i
    left join (select symbol, min(session) as first_session from core.prices group by symbol) as p using (symbol)
),

lacking as (
    select f.session, count(*) as symbols, string_agg(d.symbol, ', ' order by d.symbol) as names
    from followed as f
    join first_days as d on d.first_day <= f.session
    anti join core.prices as p on p.symbol = d.symbol and p.session = f.session
    group by f.session
)

select
    f.session,
    case when b.counted > 0 then b.sectors end as sectors_beating_spy_3m,
    case when a.sectors_counted > 0 then a.sectors_above end as sectors_above_200d,
    e.equal_minus_cap_3m,
    100.0 * a.symbols_above / nullif(a.counted, 0) as universe_above_200d_pct,
    coalesce(a.counted, 0) as counted,
    coalesce(l.symbols, 0) as missing,
    coalesce(b.counted, 0) as sectors_counted_3m,
    coalesce(a.sectors_counted, 0) as sectors_counted_200d,
    l.names as missing_symbols
from followed as f
left join above as a using (session)
left join beating as b using (session)
left join equal_weight as e using (session)
left join lacking as l using (session)
order by f.session
