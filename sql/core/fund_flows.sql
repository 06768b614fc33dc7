-- core.fund_flows: net creations and redemptions of each fund in USD, session by session.
-- grain: symbol, session
-- rows: every row of core.fund_nav
-- sources: core.fund_nav, core.sessions
-- lookback: all; back to where a stretch of unchanged counts began, and 63 records before it
-- null: net_flow_usd and flow_pct_of_assets for the reason that null_reason names
-- formula: net_flow = (SO_t - SO_{t-1} x k) x NAV_{t-1} / k, k = split ratio on t, t-1 the previous session: shares created, valued as etf.com
--   and FactSet do at the previous session's NAV. A distribution lowers NAV and creates no shares, so it is not a flow. A source is dead when the count
--   has stood still, while NAV moved, for so many sessions n that p^n < 1e-6, p = how often it stood still in the 63 records before:
--   four sessions suffice for a fund whose count changes nearly every day; a count that seldom changes is not judged
-- columns:
--   symbol: ticker
--   session: XNYS trading date
--   net_flow_usd: USD, positive = creations
--   flow_pct_of_assets: percent of the previous session's NAV x shares
--   is_large: more than 15 % of assets in a day; kept, since such creations occur around the ends of quarters
--   sessions_unchanged: records with the same share count while NAV moved, since the count last moved
--   null_reason: no record before, session missing, no share count, share count not possible, or dead source
--   source: issuer or vendor that published the share count
with counted as (
    select
        n.*,
        s.session_number,
        row_number() over by_session as record_number,
        lag(n.nav) over by_session as previous_nav,
        lag(n.shares_outstanding) over by_session as previous_shares,
        lag(n.is_suspect) over by_session as previous_is_suspect,
        lag(s.session_number) over by_session = s.session_number - 1 as follows_previous_session,
        n.is_stale or coalesce(
            n.published_shares_outstanding = lag(n.published_shares_outstanding) over by_session * n.split_ratio, false
        ) as is_same_count,
        -- An unchanged NAV gives no information: it neither lengthens nor ends a period of unchanged counts.
        is_same_count and coalesce(n.nav <> lag(n.nav) over by_session, false) as is_unchanged
    from core.fund_nav as n
    join core.sessions as s using (session)
    window by_session as (partition by n.symbol order by n.session)
),

usual as (
    select
        *,
        case when count(*) over last_63 = 63 then (1 + count(*) filter (is_unchanged) over last_63) / 65 end as usually_unchanged
    from counted
    window last_63 as (partition by symbol order by session rows 62 preceding)
),

-- Where a stretch of unchanged counts began, and what was usual until then.
stretched as (
    select
        *,
        unchanged_so_far - coalesce(last(case when not is_same_count then unchanged_so_far end ignore nulls) over so_far, 0)
            as sessions_unchanged,
        last(case when not is_same_count then usually_unchanged end ignore nulls) over so_far as usual_before
    from (
        select *, sum(is_unchanged::int) over (partition by symbol order by session rows unbounded preceding)::bigint as unchanged_so_far
        from usual
    )
    window so_far as (partition by symbol order by session rows unbounded preceding)
),

explained as (
    select
        *,
        case
            when previous_nav is null and record_number = 1 then 'no record before'
            when not follows_previous_session then 'session missing'
            when is_suspect or previous_is_suspect then 'share count not possible'
            when sessions_unchanged * ln(usual_before) < ln(1e-6) then 'dead source'
            when shares_outstanding is null or previous_shares is null or previous_nav is null then 'no share count'
        end as null_reason
    from stretched
),

flows as (
    select
        *,
        case when null_reason is null then (shares_outstanding - previous_shares * split_ratio) * previous_nav / split_ratio end as net_flow_usd
    from explained
)

select
    symbol,
    session,
    net_flow_usd,
    100 * net_flow_usd / (previous_nav * previous_shares) as flow_pct_of_assets,
    abs(net_flow_usd) > 0.15 * previous_nav * previous_shares as is_large,
    sessions_unchanged,
    null_reason,
    source
from flows
order by symbol, session
