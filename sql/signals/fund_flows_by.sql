-- signals.fund_flows_by: flows by period (`unit` = week, month or year) of each fund and each group of funds, from the records up to the
--   session `until`.
-- grain: symbol, period
-- sources: core.fund_flows, core.fund_nav, fn.exact_sum, fn.fund_facts_known_at, core.flow_members, core.pairs, core.sessions
-- lookback: all; a flow over a gap of up to 23 sessions, and the last known assets of each fund
-- null: net_flow_usd with under 90 % of the period's sessions so far covered; where counts are derived from assets also with an uncertainty over
--   1 % of the flow; and of a group no member of which is known. assets_usd while not known of every known member. covered_assets_pct
--   of a fund, and while the assets of any member are not known. settled_session where the period's own sessions settle it, and while it is
--   provisional
-- formula: a flow over a gap counts wholly for the period in which it ends if it begins there too, else pro rata by sessions. The
--   uncertainty of a flow over a gap = gross_flow_usd x nav_change, where it crosses the start or end of the period gross_flow_usd x the larger part
--   of its sessions. A group is the sum over its members whose period is known; a fund is a member from the period on in which it joined.
--   covered_assets_pct = 100 x last known assets of the known members / those of all members. A row is provisional while a later record may
--   still add to it: the next known count may end a gap of up to 23 sessions
create or replace macro signals.fund_flows_by(unit, until) as table
with calendar as (
    select session, session_number, date_trunc(unit, session)::date as period
    from core.sessions
    where session <= until
),

periods as (
    select
        period, count(*) as sessions, max(session) as last_session, max(session_number) as last_number,
        period = max(period) over () as is_partial
    from calendar
    group by period
),

latest as (
    select max(session_number) as latest_number from calendar
),

records as (
    select f.*, c.session_number, c.period
    from core.fund_flows as f
    join calendar as c using (session)
),

-- Nearly all flows are of one session, and belong to its period.
placed as (
    select symbol, period, session, net_flow_usd, gross_flow_usd, nav_change, quality, sessions_spanned, 1 as sessions_within
    from records
    where net_flow_usd is not null and sessions_spanned = 1
    union all
    select
        r.symbol, c.period, r.session, r.net_flow_usd, r.gross_flow_usd, r.nav_change, r.quality, r.sessions_spanned,
        count(*) as sessions_within
    from (
        select *, unnest(range(session_number - sessions_spanned + 1, session_number + 1)) as covered_number
        from records
        where net_flow_usd is not null and sessions_spanned > 1
    ) as r
    join calendar as c on c.session_number = r.covered_number
    group by all
),

summed as (
    select
        symbol,
        period,
        fn.exact_sum(net_flow_usd * sessions_within / sessions_spanned) as flow_usd,
        -- Of a flow that crosses the period's start or end it is not known which part belongs here.
        fn.exact_sum(
            gross_flow_usd * case
                when sessions_within = sessions_spanned then nav_change
                else greatest(sessions_within, sessions_spanned - sessions_within) / sessions_spanned
            end
        ) as uncertainty_usd,
        sum(sessions_within)::bigint as sessions_known,
        bool_or(quality = 'derived') as is_derived,
        case
            when is_derived then 'derived'
            when bool_or(quality = 'monthly_count') then 'monthly_count'
            when bool_or(quality = 'spanned') then 'spanned'
            else 'daily_count'
        end as quality,
        max(session) as last_used
    from placed
    group by symbol, period
),

fund_periods as (
    select f.symbol, p.*
    from (select symbol, date_trunc(unit, min(session))::date as first_period from records group by symbol) as f
    join periods as p on p.period >= f.first_period
),

-- The last of each period are joined below, not all: the joins sort them.
last_assets as (
    select
        symbol,
        date_trunc(unit, session)::date as period,
        arg_max(nav * shares_outstanding, session) as counted_assets_usd,
        arg_max(total_net_assets_usd, session) as total_net_assets_usd
    from core.fund_nav
    where session <= until
    group by all
),

counted_assets as (
    select symbol, period, counted_assets_usd as assets_usd from last_assets where counted_assets_usd is not null
),

counts as (
    select symbol, period, max(session_number) as session_number
    from records
    where is_counted
    group by symbol, period
),

by_fund as (
    select
        f.symbol,
        f.period,
        s.flow_usd,
        coalesce(s.sessions_known, 0) >= 0.9 * f.sessions
            and (not s.is_derived or s.uncertainty_usd <= 0.01 * abs(s.flow_usd)) as is_known,
        case when is_known then s.flow_usd end as net_flow_usd,
        s.quality,
        s.uncertainty_usd,
        a.assets_usd,
        100.0 * coalesce(s.sessions_known, 0) / f.sessions as sessions_covered_pct,
        f.is_partial,
        case
            when s.last_used > f.last_session then s.last_used
            when s.last_used = f.last_session then null
            else (select session from calendar as c where c.session_number = n.session_number + 23)
        end as settled_session,
        coalesce(s.last_used < f.last_session, true) and coalesce(l.latest_number - n.session_number < 23, false) as is_provisional
    from fund_periods as f
    cross join latest as l
    left join summed as s on s.symbol = f.symbol and s.period = f.period
    asof left join counted_assets as a on a.symbol = f.symbol and a.period < f.period
    asof left join counts as n on n.symbol = f.symbol and n.period <= f.period
),

-- Each group, and without the small leg of the headline pair: a vehicle of traders, whose flows soon revert.
groups as (
    select 'group:' || flow_group as group_symbol, flow_group, symbol, from_session, until_session, inception from core.flow_members
    union all
    select
        'group:' || m.flow_group || '_ex_' || lower(p.small_symbol), m.flow_group, m.symbol, m.from_session, m.until_session, m.inception
    from core.flow_members as m
    join core.pairs as p on p.headline and p.small_symbol <> m.symbol
    semi join core.flow_members as h on h.symbol = p.small_symbol and h.flow_group = m.flow_group
),

known_assets as (
    select symbol, period, total_net_assets_usd as assets_usd from last_assets where total_net_assets_usd is not null
),

vendor_assets as (
    select symbol, as_of, total_net_assets_usd as assets_usd
    from fn.fund_facts_known_at('infinity'::timestamptz)
    where total_net_assets_usd is not null
),

members as (
    select
        g.group_symbol, g.symbol, p.period, p.is_partial, b.symbol is not null as has_records, b.net_flow_usd, b.flow_usd, b.uncertainty_usd,
        b.quality, b.assets_usd, b.sessions_covered_pct, b.settled_session as member_settled_session, b.is_provisional as may_change,
        coalesce(k.assets_usd, v.assets_usd) as last_assets_usd
    from groups as g
    join periods as p
        on coalesce(g.from_session <= until and date_trunc(unit, g.from_session) <= p.period, true)
        and coalesce(g.until_session > until or date_trunc(unit, g.until_session) > p.period, true)
    left join by_fund as b on b.symbol = g.symbol and b.period = p.period
    asof left join known_assets as k on k.symbol = g.symbol and k.period <= p.period
    asof left join vendor_assets as v on v.symbol = g.symbol and v.as_of <= p.last_session
    where b.symbol is not null or coalesce(g.inception <= p.last_session, true)
),

by_group as (
    select
        group_symbol as symbol,
        period,
        fn.exact_sum(net_flow_usd) as net_flow_usd,
        fn.exact_sum(flow_usd) as flow_usd,
        fn.exact_sum(uncertainty_usd) as uncertainty_usd,
        case
            when count(distinct quality) filter (net_flow_usd is not null) = 1 then any_value(quality) filter (net_flow_usd is not null)
            when count(net_flow_usd) > 0 then 'mixed'
        end as quality,
        case when count(net_flow_usd) = count(assets_usd) filter (net_flow_usd is not null) then
            fn.exact_sum(case when net_flow_usd is not null then assets_usd end)
        end as assets_usd,
        avg(sessions_covered_pct order by symbol) as sessions_covered_pct,
        case when count(last_assets_usd) = count(*) then
            100 * coalesce(fn.exact_sum(case when net_flow_usd is not null then last_assets_usd end), 0)
            / nullif(fn.exact_sum(last_assets_usd), 0)
        end as covered_assets_pct,
        is_partial,
        coalesce(bool_or(may_change), false) as is_provisional,
        case when not is_provisional then max(member_settled_session) end as settled_session,
        count(net_flow_usd) as members_known,
        count(*) as members,
        string_agg(symbol, ', ' order by symbol) filter (net_flow_usd is not null) as known_symbols
    from members
    group by group_symbol, period, is_partial
    having bool_or(has_records)
)

select
    symbol, period, net_flow_usd, flow_usd, uncertainty_usd, quality, assets_usd, sessions_covered_pct, null::double as covered_assets_pct,
    is_partial, is_provisional, settled_session, is_known::bigint as members_known, 1::bigint as members, case when is_known then symbol end as known_symbols
from by_fund
union all by name
from by_group
