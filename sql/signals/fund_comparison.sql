-- signals.fund_comparison: the small-cap funds side by side, for choosing among them.
-- grain: symbol, session
-- sources: core.instruments, core.prices, core.close_basis, core.returns, core.fund_facts, core.fund_nav, core.fund_flows, core.holdings,
--   core.sessions, fn.join_drawdowns
-- lookback: 2520 sessions; and the last snapshot and the last holdings file of each fund, however old
-- null: any value whose window is not full; what no snapshot or holdings file on or before the session says; premium_pct until the session's NAV is
--   published (the next day), and where closes are not plain prices, see premium_null_reason, as dividend_yield; net_flow_12m_usd with under 90 % of its
--   sessions covered; bid_ask_spread_pct always: no source that comes with the project publishes spreads
-- formula: beta = sample covariance with the benchmark / sample variance of the benchmark, of daily total returns, or of those of calendar months that
--   ended before the session's month; return of n years = (index / index 252 x n sessions before) ^ (1 / n) - 1; volatility = sample standard
--   deviation x sqrt(252); drawdown = lowest (index / its running maximum) - 1 inside the window; premium = 100 x (close / NAV - 1);
--   dividend_yield = distributions of 252 sessions / close; effective_holdings = (sum of weights)^2 / sum of squared weights
-- columns:
--   symbol: ticker
--   session: XNYS trading date
--   expense_ratio: fraction of assets a year
--   holdings_count: constituents
--   total_net_assets_usd: USD, the issuer's of the last 5 sessions, else the issuer's count of the last 23 at the last NAV, else of the last snapshot
--   return_12m: fraction over 252 sessions
--   return_3y: fraction a year, over 756 sessions
--   return_5y: fraction a year, over 1260 sessions
--   return_10y: fraction a year, over 2520 sessions
--   beta_252d: against the benchmark (SPY)
--   beta_3y_monthly: against the benchmark, over 36 calendar months, as fact sheets print it
--   beta_5y_monthly: against the benchmark, over 60 calendar months
--   volatility_252d: a year, fraction
--   max_drawdown_252d: fraction, 0 or less
--   max_drawdown_5y: fraction, 0 or less, over 1260 sessions
--   median_dollar_volume_30d_usd: USD a session, median of close x volume over 30 sessions
--   median_share_volume_30d: shares a session, median over 30 sessions
--   bid_ask_spread_pct: percent of the price
--   premium_pct: percent by which the close is above NAV, both on one basis of splits
--   premium_null_reason: NAV not published, or the basis of the closes in core.close_basis, such as adjusted
--   dividend_yield: fraction of the close that was distributed over 252 sessions
--   trailing_pe: price over earnings of the holdings, of the last snapshot
--   top10_weight_pct: percent of the holdings' weight in the ten heaviest companies, of the last file
--   effective_holdings: number of equal holdings that would be as concentrated
--   net_flow_12m_usd: USD over 252 sessions; of a flow that begins before them the part inside, pro rata by sessions
with prices as (
    -- Of the funds and their benchmarks alone: a join with all of core.prices would put these into memory.
    select *
    from core.prices
    where symbol in (
        select unnest([symbol, benchmark])
        from core.instruments
        where peer_group = 'small_cap'
    )
),

bars as (
    select
        p.symbol, p.session, s.session_number, p.close, p.volume, p.dividend, p.return_1d, p.total_return_index as tri,
        b.return_1d as benchmark_return_1d
    from prices as p
    join core.instruments as i on i.symbol = p.symbol and i.peer_group = 'small_cap'
    join core.sessions as s on s.session = p.session
    left join prices as b on b.symbol = i.benchmark and b.session = p.session
),

moments as (
    select
        symbol,
        session,
        count(tri) over last_252 = 252 as is_full,
        count(tri) over last_1260 = 1260 as is_full_5y,
        case when count(*) over last_252 = 252 then sum(coalesce(dividend, 0)) over last_252 end as dividends_252d,
        case when count(return_1d) over last_252 = 252 then stddev_samp(return_1d) over last_252 * sqrt(252) end as volatility_252d,
        case when count(return_1d + benchmark_return_1d) over last_252 = 252 then
            covar_samp(return_1d, benchmark_return_1d) over last_252 / nullif(var_samp(benchmark_return_1d) over last_252, 0)
        end as beta_252d,
        case when count(close * volume) over last_30 = 30 then median(close * volume) over last_30 end as median_dollar_volume_30d_usd,
        case when count(volume) over last_30 = 30 then median(volume) over last_30 end as median_share_volume_30d
    from bars
    window
        last_252 as (partition by symbol order by session rows 251 preceding),
        last_1260 as (partition by symbol order by session rows 1259 preceding),
        last_30 as (partition by symbol order by session rows 29 preceding)
),

-- The fall within the last 2, 4, 8 … rows, each from two halves: a window of 252 rows is then 128 + 64 + 32 + 16 + 8 + 4, oldest first, and one of
-- 1260 rows 1024 + 128 + 64 + 32 + 8 + 4.
rows_1 as (
    select symbol, session, {'high': tri, 'low': tri, 'fall': 0.0::double} as last_1
    from bars
),

rows_2 as (
    select *, fn.join_drawdowns(lag(last_1, 1) over w, last_1) as last_2
    from rows_1
    window w as (partition by symbol order by session)
),

rows_4 as (
    select *, fn.join_drawdowns(lag(last_2, 2) over w, last_2) as last_4
    from rows_2
    window w as (partition by symbol order by session)
),

rows_8 as (
    select *, fn.join_drawdowns(lag(last_4, 4) over w, last_4) as last_8
    from rows_4
    window w as (partition by symbol order by session)
),

rows_16 as (
    select *, fn.join_drawdowns(lag(last_8, 8) over w, last_8) as last_16
    from rows_8
    window w as (partition by symbol order by session)
),

rows_32 as (
    select *, fn.join_drawdowns(lag(last_16, 16) over w, last_16) as last_32
    from rows_16
    window w as (partition by symbol order by session)
),

rows_64 as (
    select *, fn.join_drawdowns(lag(last_32, 32) over w, last_32) as last_64
    from rows_32
    window w as (partition by symbol order by session)
),

rows_128 as (
    select *, fn.join_drawdowns(lag(last_64, 64) over w, last_64) as last_128
    from rows_64
    window w as (partition by symbol order by session)
),

rows_256 as (
    select *, fn.join_drawdowns(lag(last_128, 128) over w, last_128) as last_256
    from rows_128
    window w as (partition by symbol order by session)
),

rows_512 as (
    select *, fn.join_drawdowns(lag(last_256, 256) over w, last_256) as last_512
    from rows_256
    window w as (partition by symbol order by session)
),

rows_1024 as (
    select *, fn.join_drawdowns(lag(last_512, 512) over w, last_512) as last_1024
    from rows_512
    window w as (partition by symbol order by session)
),

drawdowns as (
    select
        symbol,
        session,
        fn.join_drawdowns(
            fn.join_drawdowns(
                fn.join_drawdowns(lag(last_128, 124) over w, lag(last_64, 60) over w),
                fn.join_drawdowns(lag(last_32, 28) over w, lag(last_16, 12) over w)
            ),
            fn.join_drawdowns(lag(last_8, 4) over w, last_4)
        ).fall as max_drawdown_252d,
        fn.join_drawdowns(
            fn.join_drawdowns(
                fn.join_drawdowns(lag(last_1024, 236) over w, lag(last_128, 108) over w),
                fn.join_drawdowns(lag(last_64, 44) over w, lag(last_32, 12) over w)
            ),
            fn.join_drawdowns(lag(last_8, 4) over w, last_4)
        ).fall as max_drawdown_5y
    from rows_1024
    window w as (partition by symbol order by session)
),

-- A frame of one session: empty, hence NULL, where the symbol has no price exactly n sessions back.
long_returns as (
    select
        symbol,
        session,
        pow(tri / first(tri) over (numbered range between 756 preceding and 756 preceding), 1 / 3.0) - 1 as return_3y,
        pow(tri / first(tri) over (numbered range between 1260 preceding and 1260 preceding), 1 / 5.0) - 1 as return_5y,
        pow(tri / first(tri) over (numbered range between 2520 preceding and 2520 preceding), 1 / 10.0) - 1 as return_10y
    from bars
    window numbered as (partition by symbol order by session_number)
),

month_ends as (
    select max(session) as session, datediff('month', date '1990-01-01', max(session)) as month_number
    from core.sessions
    where session >= (select min(session) from core.prices)
    group by date_trunc('month', session)
),

month_levels as (
    select p.symbol, m.month_number, p.total_return_index as tri
    from prices as p
    join month_ends as m on m.session = p.session
),

month_returns as (
    select later.symbol, later.month_number, later.tri / earlier.tri - 1 as month_return
    from month_levels as later
    join month_levels as earlier on earlier.symbol = later.symbol and earlier.month_number = later.month_number - 1
),

month_pairs as (
    select own.symbol, own.month_number, own.month_return, benchmark.month_return as benchmark_return
    from month_returns as own
    join core.instruments as i on i.symbol = own.symbol and i.peer_group = 'small_cap'
    join month_returns as benchmark on benchmark.symbol = i.benchmark and benchmark.month_number = own.month_number
),

monthly_betas as (
    select
        symbol,
        month_number,
        case when count(month_return + benchmark_return) over last_36 = 36 then
            covar_samp(month_return, benchmark_return) over last_36 / nullif(var_samp(benchmark_return) over last_36, 0)
        end as beta_3y_monthly,
        case when count(month_return + benchmark_return) over last_60 = 60 then
            covar_samp(month_return, benchmark_return) over last_60 / nullif(var_samp(benchmark_return) over last_60, 0)
        end as beta_5y_monthly
    from month_pairs
    window
        last_36 as (partition by symbol order by month_number range 35 preceding),
        last_60 as (partition by symbol order by month_number range 59 preceding)
),

concentration as (
    select
        fund_symbol as symbol,
        as_of,
        -- In the order of the weights, as a sum of doubles differs in its last digits with the order of its rows.
        sum(weight order by place) as whole,
        100 * sum(weight order by place) filter (place <= 10) / nullif(whole, 0) as top10_weight_pct,
        pow(whole, 2) / nullif(sum(weight * weight order by place), 0) as effective_holdings
    from (
        select fund_symbol, as_of, weight, row_number() over (partition by fund_symbol, as_of order by weight desc) as place
        from core.holdings
        where symbol is not null and weight > 0
    )
    group by fund_symbol, as_of
),

flows as (
    select f.symbol, s.session_number, f.net_flow_usd, f.sessions_spanned
    from core.fund_flows as f
    join core.sessions as s using (session)
    semi join bars as b on b.symbol = f.symbol
),

flows_windowed as (
    select
        symbol,
        session_number,
        sum(net_flow_usd) over last_252_sessions as flow_usd,
        sum(sessions_spanned) over last_252_sessions as sessions_covered,
        -- The first flow of the window may cover sessions before it: of it only the part inside counts.
        first(net_flow_usd ignore nulls) over last_252_sessions as first_flow_usd,
        first(sessions_spanned ignore nulls) over last_252_sessions as first_spanned,
        first(case when sessions_spanned is not null then session_number end ignore nulls) over last_252_sessions as first_number
    from bars
    full join flows using (symbol, session_number)
    window last_252_sessions as (partition by symbol order by session_number range 251 preceding)
),

flows_12m as (
    select
        symbol,
        session_number,
        greatest(first_spanned - (first_number - (session_number - 252)), 0) as sessions_before,
        case
            when sessions_covered - sessions_before >= 0.9 * 252 then flow_usd - first_flow_usd * sessions_before / first_spanned
        end as net_flow_12m_usd
    from flows_windowed
),

assets as (
    select n.symbol, n.session, s.session_number, n.total_net_assets_usd
    from core.fund_nav as n
    join core.sessions as s using (session)
    where n.total_net_assets_usd is not null
),

navs as (
    select symbol, session, nav, product(split_ratio) over (partition by symbol order by session rows unbounded preceding) as split_factor
    from core.fund_nav
    where nav is not null
),

issuer_counts as (
    select n.symbol, n.session, s.session_number, n.shares_outstanding / v.split_factor as shares_before_splits
    from core.fund_nav as n
    join navs as v using (symbol, session)
    join core.sessions as s using (session)
    where n.share_count_basis <> 'derived' and n.shares_outstanding is not null
)

select
    b.symbol,
    b.session,
    f.expense_ratio,
    f.holdings_count,
    case
        when a.session_number > b.session_number - 5 then a.total_net_assets_usd
        -- A month-end count, at the last NAV. A vendor's assets may be those of all share classes.
        when c.session_number >= b.session_number - 23 then c.shares_before_splits * v.split_factor * v.nav
        else f.total_net_assets_usd
    end as total_net_assets_usd,
    r.return_12m,
    l.return_3y,
    l.return_5y,
    l.return_10y,
    m.beta_252d,
    y.beta_3y_monthly,
    y.beta_5y_monthly,
    m.volatility_252d,
    case when m.is_full then d.max_drawdown_252d end as max_drawdown_252d,
    case when m.is_full_5y then d.max_drawdown_5y end as max_drawdown_5y,
    m.median_dollar_volume_30d_usd,
    m.median_share_volume_30d,
    null::double as bid_ask_spread_pct,
    case when k.basis = 'unadjusted' then k.premium_pct end as premium_pct,
    case when k.basis <> 'unadjusted' and k.basis <> 'not known' then k.basis when k.premium_pct is null then 'NAV not published' end as premium_null_reason,
    case when k.basis = 'unadjusted' then m.dividends_252d / b.close end as dividend_yield,
    f.trailing_pe,
    o.top10_weight_pct,
    o.effective_holdings,
    x.net_flow_12m_usd
from bars as b
join moments as m on m.symbol = b.symbol and m.session = b.session
join core.returns as r on r.symbol = b.symbol and r.session = b.session
join flows_12m as x on x.symbol = b.symbol and x.session_number = b.session_number
join long_returns as l on l.symbol = b.symbol and l.session = b.session
join drawdowns as d on d.symbol = b.symbol and d.session = b.session
left join core.close_basis as k on k.symbol = b.symbol and k.session = b.session
left join monthly_betas as y on y.symbol = b.symbol and y.month_number = datediff('month', date '1990-01-01', b.session) - 1
asof left join core.fund_facts as f on f.symbol = b.symbol and f.as_of <= b.session
asof left join concentration as o on o.symbol = b.symbol and o.as_of <= b.session
asof left join assets as a on a.symbol = b.symbol and a.session <= b.session
asof left join navs as v on v.symbol = b.symbol and v.session <= b.session
asof left join issuer_counts as c on c.symbol = b.symbol and c.session <= b.session
order by b.symbol, b.session
