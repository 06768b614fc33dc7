-- signals.fund_flows_monthly_until: signals.fund_flows_monthly as it was after the session `until`, from the records up to then.
-- grain: symbol, month
-- sources: signals.fund_flows_by, fn.z_score
-- lookback: all; see signals.fund_flows_monthly
-- null: see signals.fund_flows_monthly
-- formula: see signals.fund_flows_monthly
create or replace macro signals.fund_flows_monthly_until(until) as table
with months as (
    select * rename (period as month, flow_usd as estimated_flow_usd), 100 * net_flow_usd / nullif(assets_usd, 0) as flow_pct_of_assets
    from signals.fund_flows_by('month', until)
),

-- Months in a row with one sign share an island: the sign changes, is missing, or is that of other members, at the start of each.
signed as (
    select *, case when not is_partial then sign(net_flow_usd) end as direction
    from months
),

followed as (
    select
        *,
        direction is not distinct from lag(direction) over by_month
        and coalesce(
            known_symbols = lag(known_symbols) over by_month
            or (covered_assets_pct >= 50 and lag(covered_assets_pct) over by_month >= 50),
            false
        ) as continues
    from signed
    window by_month as (partition by symbol order by month)
),

islands as (
    select *, sum((not continues)::int) over (partition by symbol order by month rows unbounded preceding) as island
    from followed
),

streaks as (
    select
        *,
        case when direction <> 0 then direction * row_number() over (partition by symbol, island order by month) else 0 end as streak
    from islands
),

compared as (
    select
        m.symbol,
        m.month,
        100.0 * count(*) filter (e.flow_pct_of_assets < m.flow_pct_of_assets) / count(*) as percentile,
        fn.z_score(any_value(m.flow_pct_of_assets), avg(e.flow_pct_of_assets order by e.month), stddev_samp(e.flow_pct_of_assets order by e.month)) as flow_z
    from months as m
    join months as e
        on e.symbol = m.symbol and e.month < m.month
        and (e.known_symbols = m.known_symbols or (e.covered_assets_pct >= 50 and m.covered_assets_pct >= 50))
    -- No fund is a billion times its assets; beyond that a deviation would exceed a double, which would end the run.
    where not m.is_partial and abs(m.flow_pct_of_assets) < 1e11 and abs(e.flow_pct_of_assets) < 1e11
    group by m.symbol, m.month
    having count(*) >= 36
)

select
    s.symbol,
    s.month,
    s.net_flow_usd,
    s.flow_pct_of_assets,
    case when count(*) over so_far = count(s.net_flow_usd) over so_far then sum(s.net_flow_usd) over so_far end as cumulative_ytd_usd,
    case when s.is_partial then lag(s.streak, 1, 0) over by_month else s.streak end::integer as streak_months,
    s.sessions_covered_pct,
    s.is_partial,
    s.members_known,
    s.members,
    s.covered_assets_pct,
    c.percentile,
    c.flow_z,
    s.estimated_flow_usd,
    s.uncertainty_usd,
    s.quality,
    s.known_symbols,
    s.is_provisional,
    s.settled_session
from streaks as s
left join compared as c on c.symbol = s.symbol and c.month = s.month
window
    so_far as (partition by s.symbol, date_trunc('year', s.month) order by s.month rows unbounded preceding),
    by_month as (partition by s.symbol order by s.month)
order by s.symbol, s.month
