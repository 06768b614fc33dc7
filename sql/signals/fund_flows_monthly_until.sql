-- signals.fund_flows_monthly_until: signals.fund_flows_monthly as it was after the session `until`, from the records up to then;
--   of `symbols` alone, a list such as `['group:small_cap']`, or of all where it is NULL.
-- grain: symbol, month
-- sources: signals.fund_flows_by, fn.z_score
-- lookback: all; see signals.fund_flows_monthly
-- null: see signals.fund_flows_monthly
-- formula: see signals.fund_flows_monthly
create or replace macro signals.fund_flows_monthly_until(until, symbols) as table
with months as (
    select * rename (period as month, flow_usd as estimated_flow_usd), 100 * net_flow_usd / nullif(assets_usd, 0) as flow_pct_of_assets
    from signals.fund_flows_by('month', until)
    where symbols is null or list_contains(symbols, symbol)
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

-- No fund is a billion times its assets; beyond that a deviation would exceed a double, which would end the run.
histories as (
    select
        symbol,
        list({'month': month, 'known_symbols': known_symbols, 'covered': covered_assets_pct, 'pct': flow_pct_of_assets} order by month) as history
    from months
    where abs(flow_pct_of_assets) < 1e11
    group by symbol
),

-- The earlier months with the same members, in their order: a join of each month with each earlier one would sort them again for each.
earlier as (
    select
        m.symbol,
        m.month,
        m.flow_pct_of_assets,
        [
            e.pct for e in h.history
            if e.month < m.month
            and coalesce(e.known_symbols = m.known_symbols or (e.covered >= 50 and m.covered_assets_pct >= 50), false)
        ] as pcts
    from months as m
    join histories as h on h.symbol = m.symbol
    where not m.is_partial and abs(m.flow_pct_of_assets) < 1e11
),

compared as (
    select
        symbol,
        month,
        -- Not with `where`, for which DuckDB would make each list twice.
        case when len(pcts) >= 36 then 100.0 * len([pct for pct in pcts if pct < flow_pct_of_assets]) / len(pcts) end as percentile,
        case when len(pcts) >= 36 then fn.z_score(flow_pct_of_assets, list_avg(pcts), list_stddev_samp(pcts)) end as flow_z
    from earlier
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
