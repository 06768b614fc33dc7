-- stage.expected_returns: what the funds most like a fund, or the market, let expect of a bar's return, and its usual volume. The audit of the
--   batch compares its bars with them.
-- grain: symbol, session
-- sources: stage.bars, stage.prices, stage.universe, stage.sessions
-- lookback: 252 sessions; at least 60 of them with returns; of a fund the twelve months before the month of the session, at least 40 common
--   sessions with returns; 63 for the volume, at least 20 of them with one
-- null: expected_return and usual_deviation of a bar without a bar on the session before, in the first 60 sessions of what is compared with the
--   market, or with fewer than five symbols to compare with; usual_volume where too few volumes are known; companions where the market is compared
-- formula: a fund is compared with the three other funds whose daily returns correlate most with its own over the lookback: expected_return =
--   median over them of beta x their return of the session, usual_deviation = median over them of the standard deviation that the regression
--   leaves. A stock, and a fund without three such funds, is compared with the market: expected_return = median return of all symbols,
--   usual_deviation = standard deviation of its return less that. Both times the turbulence of the session: the median over all funds of |return -
--   expected_return| / that deviation / 0.6745, at least 1. In the lookback a return counts as 5 % at most, so that a wrong price that leads
--   there and back does not change much. A payment that is not known counts as 0
-- columns:
--   symbol: ticker
--   session: XNYS trading date, of the batch or later
--   return_1d: fraction, of the bar against the bar before it, whenever that was
--   expected_return: fraction
--   usual_deviation: fraction, one standard deviation on a session as turbulent as this
--   companions: the three funds, most alike first
--   usual_volume: shares, median over the lookback
with first_given as (
    select min(session) as session from stage.prices where not is_withdrawn
),

numbered as (
    select session, row_number() over (order by session) as session_number from stage.sessions
),

-- Of a bar that a vendor gave twice one counts; the audit names both.
bars as (
    select
        symbol,
        session,
        session_number,
        any_value(close) as close,
        any_value(volume) as volume,
        any_value(coalesce(paid, 0)) as paid
    from stage.bars
    join numbered using (session)
    where close > 0 and isfinite(close) and session >= (select session from first_given) - 400
    group by symbol, session, session_number
),

stepped as (
    select
        symbol,
        session,
        session_number = lag(session_number) over by_session + 1 as is_of_one_session,
        case when lag(close) over by_session > paid then close / (lag(close) over by_session - paid) - 1 end as return_1d,
        volume,
        row_number() over by_session as bar_number
    from bars
    window by_session as (partition by symbol order by session)
),

returned as (
    select symbol, session, return_1d, greatest(-0.05, least(0.05, return_1d)) as bounded_return
    from stepped
    where is_of_one_session and return_1d is not null
),

fund_returns as (
    select r.*, date_trunc('month', session)::date as month
    from returned as r
    semi join (from stage.universe where kind in ('fund', 'sector')) as u on u.symbol = r.symbol
),

-- Every pair once, and summed by month: a pair and session each would be the costliest step of a run.
pair_months as (
    select
        r.symbol,
        o.symbol as companion,
        r.month,
        count(*) as sessions,
        sum(r.bounded_return) as x,
        sum(o.bounded_return) as y,
        sum(r.bounded_return * r.bounded_return) as xx,
        sum(o.bounded_return * o.bounded_return) as yy,
        sum(r.bounded_return * o.bounded_return) as xy
    from fund_returns as r
    join fund_returns as o on o.session = r.session and o.symbol > r.symbol
    group by all
),

both_ways as (
    from pair_months
    union all
    select companion, symbol, month, sessions, y, x, yy, xx, xy from pair_months
),

summed as (
    select
        symbol,
        companion,
        month,
        sum(sessions) over year_before as n,
        sum(x) over year_before as x,
        sum(y) over year_before as y,
        sum(xx) over year_before as xx,
        sum(yy) over year_before as yy,
        sum(xy) over year_before as xy
    from both_ways
    window year_before as (
        partition by symbol, companion order by month range between interval 12 months preceding and interval 1 month preceding
    )
),

regressed as (
    select
        symbol,
        companion,
        month,
        (n * xy - x * y) / nullif(sqrt(greatest(0, n * xx - x * x)) * sqrt(greatest(0, n * yy - y * y)), 0) as correlation,
        (n * xy - x * y) / nullif(n * yy - y * y, 0) as beta,
        sqrt(greatest(0, n * xx - x * x) / (n * (n - 1))) as deviation
    from summed
    where n >= 40 and month >= (select date_trunc('month', session)::date from first_given)
),

-- Six, so that three are left where some have no return of the session.
candidates as (
    from regressed
    where isfinite(correlation) and isfinite(beta)
    qualify row_number() over (partition by symbol, month order by correlation desc, companion) <= 6
),

alike as (
    select c.*, r.session, r.return_1d, o.return_1d as companion_return
    from fund_returns as r
    join candidates as c on c.symbol = r.symbol and c.month = r.month
    join fund_returns as o on o.symbol = c.companion and o.session = r.session
    where r.session >= (select session from first_given)
    qualify row_number() over (partition by r.symbol, r.session order by c.correlation desc, c.companion) <= 3
),

by_companions as (
    select
        symbol,
        session,
        any_value(return_1d) as return_1d,
        median(beta * companion_return) as expected_return,
        median(deviation * sqrt(greatest(0, 1 - correlation * correlation))) as deviation,
        string_agg(companion, ', ' order by correlation desc, companion) as companions
    from alike
    group by symbol, session
    having count(*) = 3
),

markets as (
    select session, median(return_1d) as market_return
    from returned
    group by session
    having count(*) >= 5
),

by_market as (
    select
        r.symbol,
        r.session,
        m.market_return as expected_return,
        stddev_samp(greatest(-0.05, least(0.05, r.return_1d - m.market_return))) over before_it as deviation,
        count(*) over before_it as sessions
    from returned as r
    join markets as m using (session)
    window before_it as (partition by r.symbol order by r.session rows between 252 preceding and 1 preceding)
),

turbulent as (
    select session, greatest(1, median(abs(return_1d - expected_return) / nullif(deviation, 0)) / 0.6745) as turbulence
    from by_companions
    group by session
),

volumes as (
    select
        symbol,
        session,
        return_1d,
        case
            when count(volume) over before_it >= 20 then median(volume) over before_it
        end as usual_volume
    from stepped
    window before_it as (partition by symbol order by bar_number rows between 63 preceding and 1 preceding)
)

select
    v.symbol,
    v.session,
    v.return_1d,
    coalesce(c.expected_return, m.expected_return) as expected_return,
    coalesce(c.deviation, m.deviation) * coalesce(t.turbulence, 1) as usual_deviation,
    c.companions,
    v.usual_volume
from volumes as v
left join by_companions as c using (symbol, session)
left join (from by_market where sessions >= 60) as m using (symbol, session)
left join turbulent as t using (session)
where v.session >= (select session from first_given)
order by v.symbol, v.session
