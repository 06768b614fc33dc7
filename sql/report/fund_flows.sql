-- report.fund_flows: money into and out of small-cap and large-cap funds, month by month over three years.
-- grain: symbol, month
-- sources: core.sessions, core.instruments, core.fund_flows, signals.fund_flows_monthly
-- null: net_flow_usd of a month that is not known, cumulative_ytd_usd from the year's first such month on; see signals.fund_flows_monthly
-- formula: completed months from signals.fund_flows_monthly; the month of the session is added up here, so that it holds nothing after it
-- columns: those of signals.fund_flows_monthly; flow_group in words
with running_month as (
    select date_trunc('month', session) as month, count(*) as sessions, max(session) as last_session
    from core.sessions
    where session <= getvariable('session') and session >= date_trunc('month', getvariable('session'))
    group by all
),

completed as (
    select symbol, month, net_flow_usd, cumulative_ytd_usd, streak_months, sessions_covered_pct, members_known, members
    from signals.fund_flows_monthly
    where symbol in ('group:small_cap', 'group:large_cap')
        and month < date_trunc('month', getvariable('session'))
        and month >= date_trunc('month', getvariable('session')) - interval 36 months
),

last_completed as (
    from completed where month = date_trunc('month', getvariable('session')) - interval 1 month
),

by_fund as (
    select
        f.symbol,
        sum(f.net_flow_usd order by f.session) filter (f.session >= r.month) as net_flow_usd,
        100.0 * count(f.net_flow_usd) filter (f.session >= r.month) / any_value(r.sessions) as sessions_covered_pct
    from core.fund_flows as f
    join running_month as r on f.session <= r.last_session
    group by f.symbol
),

running as (
    select
        'group:' || i.flow_group as symbol,
        r.month,
        sum(b.net_flow_usd order by b.symbol) as net_flow_usd,
        avg(b.sessions_covered_pct order by b.symbol) as sessions_covered_pct,
        count(b.net_flow_usd) as members_known,
        count(*) filter (b.symbol is not null or coalesce(i.inception <= r.last_session, true)) as members
    from core.instruments as i
    cross join running_month as r
    left join by_fund as b on b.symbol = i.symbol
    where i.flow_group in ('small_cap', 'large_cap')
    group by i.flow_group, r.month
    having count(b.symbol) > 0
),

months as (
    select *, false as is_partial from completed
    union all by name
    select
        r.*,
        r.net_flow_usd + case when c.symbol is null or month(r.month) = 1 then 0 else c.cumulative_ytd_usd end as cumulative_ytd_usd,
        coalesce(c.streak_months, 0) as streak_months,
        true as is_partial
    from running as r
    left join last_completed as c using (symbol)
)

select
    symbol,
    case symbol when 'group:small_cap' then 'small-cap funds' else 'large-cap funds' end as flow_group,
    month::date as month,
    net_flow_usd,
    cumulative_ytd_usd,
    streak_months,
    sessions_covered_pct,
    members_known,
    members,
    is_partial
from months
order by symbol desc, month
