-- core.prices_as_of: daily prices and total returns as they were known at `ts`; core.prices is the same as known now.
-- grain: symbol, session
-- sources: fn.prices_known_at, fn.price_event_versions_at, core.sessions, core.instruments
-- lookback: all; total_return_index accumulates, and adj_close is scaled by the distributions after it
-- null: the whole row of a bar whose close is missing or not between 1e-9 and 1e15 USD, which the audit rejects;
--   dividend that is not known; return_1d then, where the distribution is not below the previous close, on a symbol's first session and where
--   the session before is missing; total_return_index from the first session on whose distribution is not known, and then adj_close
-- formula: return = close_t / (close_{t-1} - dividend_t) - 1, as Yahoo adjusts (factor 1 - dividend / previous close); close_{t-1} is the
--   last known close, so that the index carries over a missing session; total_return_index = 100 x product(1 + return), written as
--   100 x close / first close x product of close_{t-1} / (close_{t-1} - dividend_t) over the ex-dates, so that equal closes between two
--   ex-dates have exactly the same index, ties stay ties and a flat window stays flat. A distribution or split whose own bar is not known
--   belongs to the symbol's next bar
create or replace macro core.prices_as_of(ts) as table
with known as (
    select k.* exclude (dividend, capital_gain), k.dividend + k.capital_gain as dividend, s.session_number
    from fn.prices_known_at(ts) as k
    join core.sessions as s using (session)
    semi join (from core.instruments where kind <> 'index') as i on i.symbol = k.symbol
    -- No share has a price outside these bounds; within them no later product or variance exceeds a double, which would end the run.
    where k.close between 1e-9 and 1e15
),

events as (
    select e.symbol, e.event_date, e.dividend + e.capital_gain as dividend, e.split_ratio
    from fn.price_event_versions_at(ts) as e
    anti join known as k on k.symbol = e.symbol and k.session = e.event_date
    -- The index starts at a symbol's first bar.
    semi join known as earlier on earlier.symbol = e.symbol and earlier.session < e.event_date
    where not e.is_withdrawn
),

carried as (
    select
        symbol,
        session,
        case when count(dividend) = count(*) then sum(dividend order by event_date) end as dividend,
        case when count(split_ratio) = count(*) then product(split_ratio order by event_date) end as split_ratio
    from (
        select e.symbol, k.session, e.event_date, e.dividend, e.split_ratio
        from events as e
        asof join known as k on k.symbol = e.symbol and k.session >= e.event_date
    )
    group by symbol, session
),

bars as (
    select
        k.* replace (
            case when c.symbol is null then k.dividend else k.dividend + c.dividend end as dividend,
            case when c.symbol is null then k.split_ratio else k.split_ratio * c.split_ratio end as split_ratio
        )
    from known as k
    left join carried as c on c.symbol = k.symbol and c.session = k.session
),

stepped as (
    select
        *,
        -- A distribution of all that the share was worth, or more, is not possible.
        case when abs(dividend) < lag(close) over w then lag(close) over w / (lag(close) over w - dividend) end as reinvested,
        case when abs(dividend) < lag(close) over w then close / (lag(close) over w - dividend) - 1 end as step,
        lag(close) over w is not null and not coalesce(abs(dividend) < lag(close) over w, false) as lacks_distribution,
        lag(session_number) over w = session_number - 1 as follows_previous_session
    from bars
    window w as (partition by symbol order by session)
),

-- A product over all rows would be rounded differently on each, and in another order it would differ in its last digits.
factors as (
    select
        symbol,
        unnest(sessions) as session,
        unnest(list_transform(range(1, len(steps) + 1), lambda n: list_aggregate(steps[:n], 'product'))) as factor
    from (
        select symbol, list(session order by session) as sessions, list(reinvested order by session) as steps
        from stepped
        where dividend <> 0
        group by symbol
    )
),

indexed as (
    select
        *,
        case
            -- Without `bool_or`, with which DuckDB takes more than twice as long for this window.
            when last(case when lacks_distribution then true end ignore nulls) over w is null
                then coalesce(last(factor ignore nulls) over w, 1)
        end as factor_so_far,
        100 * (close / first(close) over w) * factor_so_far as total_return_index
    from (from stepped left join factors using (symbol, session))
    window w as (partition by symbol order by session rows unbounded preceding)
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
    close * (
        factor_so_far / last(factor_so_far) over (
            partition by symbol order by session rows between unbounded preceding and unbounded following
        )
    ) as adj_close,
    total_return_index,
    case when follows_previous_session then step end as return_1d,
    source,
    known_at,
    run_id
from indexed
order by symbol, session
