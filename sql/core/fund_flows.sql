-- core.fund_flows: net creations and redemptions of each fund in USD, from one known share count to the next.
-- grain: symbol, session
-- rows: every row of core.fund_nav
-- sources: core.fund_nav, core.sessions, fn.difference_beyond_rounding
-- lookback: all; back to where a stretch of unchanged counts began, and 63 records before it
-- null: net_flow_usd, flow_pct_of_assets, sessions_spanned, quality, gross_flow_usd and nav_change for the reason that null_reason names
-- formula: net_flow = (SO_t - SO_{t-1} x k) x NAV_{t-1} / k, t-1 = the session of the last known count, k = the splits since: shares created,
--   valued as etf.com and FactSet do at the earlier NAV. Counts that differ by rounding alone, as assets / NAV may, are the same. Where t-1 is not
--   the previous session, the flow is that of the whole gap, at most 23 sessions. An issuer's count is compared with the issuer's last one, a
--   count derived from assets with the last derived one. A distribution lowers NAV and creates no shares, so it is not a flow. A source is dead
--   when the count has stood still, while NAV moved, for so many records n that p^n < 1e-6, p = how often it stood still in the 63 records
--   before: four records suffice for a fund whose count changes nearly every day; a count that seldom changes is not judged. A count of a dead
--   source is not known
-- columns:
--   symbol: ticker
--   session: XNYS trading date
--   net_flow_usd: USD, positive = creations
--   flow_pct_of_assets: percent of NAV x shares at the last known count
--   sessions_spanned: sessions since the last known count; 1 = the flow of one session
--   quality: daily_count (the issuer's count of each day), spanned (the issuer's count over a gap), monthly_count (the issuer's count at month
--     ends) or derived (assets / NAV)
--   gross_flow_usd: USD, an estimate of the creations and redemptions behind the flow over a gap, which may offset each other: the fund's mean
--     flow of one session in the last 63 records, in absolute terms, x sessions_spanned; at least the absolute net_flow_usd
--   nav_change: largest change of NAV inside the gap, a fraction; 0 for one session. As the day of the creations is not known, the flow
--     may be off by gross_flow_usd x nav_change
--   is_large: more than 15 % of assets; kept, since such creations occur around the ends of quarters
--   is_counted: the record's share count is known, so that a flow can begin or end with it
--   sessions_unchanged: records with the same share count while NAV moved, since the count last moved
--   null_reason: no record before, gap too long (over 23 sessions), no share count, issuer count preferred (over one derived from assets), share
--     count not possible, or dead source
--   source: issuer or vendor that published the share count
with counted as (
    select
        n.*,
        s.session_number,
        product(n.split_ratio) over (partition by n.symbol order by n.session rows unbounded preceding) as split_factor,
        row_number() over by_session as record_number,
        n.is_stale or coalesce(
            fn.difference_beyond_rounding(n.published_shares_outstanding, lag(n.published_shares_outstanding) over by_session * n.split_ratio) = 0,
            false
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

judged as (
    select
        *,
        coalesce(sessions_unchanged * ln(usual_before) < ln(1e-6), false) as is_dead,
        shares_outstanding is not null and nav is not null and not is_dead as is_counted,
        share_count_basis = 'derived' as is_derived
    from stretched
),

-- A gap is a record with a known count and the records after it without one.
gaps as (
    -- Without `filter`, which takes DuckDB over three times as long here.
    select *, count(case when is_counted then 1 end) over (partition by symbol order by session rows unbounded preceding) as gap
    from judged
),

navs_in_gaps as (
    select symbol, gap, min(nav * split_factor) as lowest_nav, max(nav * split_factor) as highest_nav
    from gaps
    group by symbol, gap
),

spanned as (
    select
        g.symbol,
        g.session,
        lag(g.nav) over by_count as previous_nav,
        lag(g.shares_outstanding) over by_count as previous_shares,
        g.split_factor / lag(g.split_factor) over by_count as split_ratio_since,
        g.session_number - lag(g.session_number) over by_count as sessions_since,
        lag(greatest(n.highest_nav / (g.nav * g.split_factor) - 1, 1 - n.lowest_nav / (g.nav * g.split_factor))) over by_count as nav_change
    from gaps as g
    join navs_in_gaps as n using (symbol, gap)
    where g.is_counted
    window by_count as (partition by g.symbol, g.is_derived order by g.session)
),

explained as (
    select
        j.*,
        n.previous_nav,
        n.previous_shares,
        n.split_ratio_since,
        n.sessions_since,
        n.nav_change,
        case
            when j.record_number = 1 then 'no record before'
            when j.is_suspect then 'share count not possible'
            when j.is_dead then 'dead source'
            when j.is_superseded then 'issuer count preferred'
            when not j.is_counted then 'no share count'
            when n.sessions_since is null then 'no record before'
            when n.sessions_since > 23 then 'gap too long'
        end as null_reason
    from judged as j
    left join spanned as n using (symbol, session)
),

flows as (
    select
        *,
        case
            when null_reason is null
                then fn.difference_beyond_rounding(shares_outstanding, previous_shares * split_ratio_since) * previous_nav / split_ratio_since
        end as net_flow_usd
    from explained
),

sized as (
    select
        *,
        avg(abs(net_flow_usd)) filter (sessions_since = 1) over (partition by symbol order by session rows 62 preceding) as usual_flow_usd
    from flows
)

select
    symbol,
    session,
    net_flow_usd,
    100 * net_flow_usd / (previous_nav * previous_shares) as flow_pct_of_assets,
    case when null_reason is null then sessions_since end as sessions_spanned,
    case
        when null_reason is not null then null
        when share_count_basis <> 'daily_count' then share_count_basis
        when sessions_since > 1 then 'spanned'
        else 'daily_count'
    end as quality,
    case
        when null_reason is not null then null
        when sessions_since = 1 then abs(net_flow_usd)
        else greatest(abs(net_flow_usd), sessions_since * usual_flow_usd)
    end as gross_flow_usd,
    case when null_reason is null then nav_change end as nav_change,
    abs(net_flow_usd) > 0.15 * previous_nav * previous_shares as is_large,
    is_counted,
    sessions_unchanged,
    null_reason,
    source
from sized
order by symbol, session
