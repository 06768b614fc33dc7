-- core.prices_as_of: daily prices and total returns as they were known at `ts`; core.prices is the same as known now.
-- grain: symbol, session
-- sources: raw.prices_known_at, core.sessions, core.instruments
-- lookback: 1 session
-- null: return_1d on a symbol's first session and where the session before is missing
-- formula: return = close_t / (close_{t-1} - dividend_t) - 1, as Yahoo adjusts (factor 1 - dividend / previous close); close_{t-1} is the
--   last known close, so that the index carries over a missing session; total_return_index = 100 x product(1 + return)
create or replace macro core.prices_as_of(ts) as table
with bars as (
    select k.* exclude (dividend, capital_gain), k.dividend + k.capital_gain as dividend, s.session_number
    from raw.prices_known_at(ts) as k
    join core.sessions as s using (session)
    semi join core.instruments as i on i.symbol = k.symbol
    where k.close is not null
),

stepped as (
    select
        *,
        close / (lag(close) over (partition by symbol order by session) - dividend) as growth,
        lag(session_number) over (partition by symbol order by session) = session_number - 1 as follows_previous_session
    from bars
),

indexed as (
    select
        *,
        100 * coalesce(product(growth) over (partition by symbol order by session rows unbounded preceding), 1) as total_return_index
    from stepped
)

select
    symbol,
    session,
    open,
    high,
    low,
    close,
    volume,
    dividend,
    split_ratio,
    total_return_index * last(close / total_return_index) over (
        partition by symbol order by session rows between unbounded preceding and unbounded following
    ) as adj_close,
    total_return_index,
    case when follows_previous_session then growth - 1 end as return_1d,
    source,
    known_at,
    run_id
from indexed
order by symbol, session
