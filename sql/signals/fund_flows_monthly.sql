-- signals.fund_flows_monthly: flows by calendar month, for each fund and for each group of funds whose flows are summed.
-- grain: symbol, month
-- sources: core.fund_flows, core.fund_nav, core.instruments, core.sessions
-- lookback: all; the streak reaches to the fund's first record
-- null: net_flow_usd of a completed month with under 90 % of its sessions, of the running month with none, and of a group no member of
--   which is known; flow_pct_of_assets also where the assets before the month are not known; cumulative_ytd_usd from the year's first month
--   on that is NULL
-- formula: sums of core.fund_flows.net_flow_usd; a group is the sum over the members whose month is known. streak = months in a row with
--   flows of one sign, negative for outflows, counting completed months only; the running month carries the streak reached before it
-- columns:
--   symbol: ticker, or group: and a flow_group of the universe, such as group:small_cap
--   month: first day of the month
--   net_flow_usd: USD
--   flow_pct_of_assets: percent of NAV x shares on the last known session before the month
--   cumulative_ytd_usd: USD since the start of the year
--   streak_months: completed months in a row with flows of one sign, negative for outflows
--   sessions_covered_pct: percent of the month's sessions so far whose flow is known; of a group, the mean of its members
--   is_partial: the month of the latest session, which may still change
--   members_known: members whose month is known
--   members: members that are listed, or have records, by then
with months as (
    select date_trunc('month', session)::date as month, count(*) as sessions, max(session) as last_session
    from core.sessions
    group by all
),

running as (
    select max(month) as month from months
),

first_months as (
    select symbol, date_trunc('month', min(session))::date as month
    from core.fund_flows
    group by symbol
),

fund_months as (
    select f.symbol, m.month, m.sessions, m.month = r.month as is_partial
    from first_months as f
    join months as m on m.month >= f.month
    cross join running as r
),

summed as (
    select
        symbol,
        date_trunc('month', session)::date as month,
        sum(net_flow_usd order by session) as net_flow_usd,
        count(net_flow_usd) as sessions_known
    from core.fund_flows
    group by all
),

assets as (
    select symbol, session, nav * shares_outstanding as assets_usd
    from core.fund_nav
    where shares_outstanding is not null
),

by_fund as (
    select
        f.symbol,
        f.month,
        case when f.is_partial or s.sessions_known >= 0.9 * f.sessions then s.net_flow_usd end as net_flow_usd,
        a.assets_usd,
        100.0 * coalesce(s.sessions_known, 0) / f.sessions as sessions_covered_pct,
        f.is_partial
    from fund_months as f
    left join summed as s on s.symbol = f.symbol and s.month = f.month
    asof left join assets as a on a.symbol = f.symbol and a.session < f.month
),

by_group as (
    select
        'group:' || i.flow_group as symbol,
        b.month,
        sum(b.net_flow_usd order by b.symbol) as net_flow_usd,
        case when count(b.net_flow_usd) = count(b.assets_usd) filter (b.net_flow_usd is not null) then
            sum(b.assets_usd order by b.symbol) filter (b.net_flow_usd is not null)
        end as assets_usd,
        avg(b.sessions_covered_pct order by b.symbol) as sessions_covered_pct,
        b.is_partial,
        count(b.net_flow_usd) as members_known
    from by_fund as b
    join core.instruments as i using (symbol)
    where i.flow_group is not null
    group by i.flow_group, b.month, b.is_partial
),

members as (
    select 'group:' || i.flow_group as symbol, m.month, count(*) as members
    from core.instruments as i
    left join first_months as f using (symbol)
    join months as m on coalesce(i.inception <= m.last_session, true) or f.month <= m.month
    where i.flow_group is not null
    group by all
),

everyone as (
    select *, (net_flow_usd is not null)::bigint as members_known, 1 as members
    from by_fund
    union all by name
    select g.*, m.members
    from by_group as g
    join members as m using (symbol, month)
),

-- Months in a row with one sign share an island: the sign changes, or is missing, at the start of each.
signed as (
    select *, case when not is_partial then sign(net_flow_usd) end as direction
    from everyone
),

islands as (
    select
        *,
        sum((direction is distinct from previous_direction)::int) over (partition by symbol order by month rows unbounded preceding) as island
    from (select *, lag(direction) over (partition by symbol order by month) as previous_direction from signed)
),

streaks as (
    select
        *,
        case when direction <> 0 then direction * row_number() over (partition by symbol, island order by month) else 0 end as streak
    from islands
)

select
    symbol,
    month,
    net_flow_usd,
    100 * net_flow_usd / assets_usd as flow_pct_of_assets,
    case when count(*) over so_far = count(net_flow_usd) over so_far then sum(net_flow_usd) over so_far end as cumulative_ytd_usd,
    case when is_partial then lag(streak, 1, 0) over (partition by symbol order by month) else streak end::integer as streak_months,
    sessions_covered_pct,
    is_partial,
    members_known,
    members
from streaks
window so_far as (partition by symbol, date_trunc('year', month) order by month rows unbounded preceding)
order by symbol, month
