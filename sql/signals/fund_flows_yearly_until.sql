-- signals.fund_flows_yearly_until: signals.fund_flows_yearly as it was after the session `until`, from the records up to then.
-- grain: symbol, year
-- sources: signals.fund_flows_by
-- lookback: all; see signals.fund_flows_yearly
-- null: see signals.fund_flows_yearly
-- formula: see signals.fund_flows_yearly
create or replace macro signals.fund_flows_yearly_until(until) as table
with years as (
    select
        symbol,
        year(period)::integer as year,
        net_flow_usd,
        100 * net_flow_usd / nullif(assets_usd, 0) as flow_pct_of_assets,
        sessions_covered_pct,
        covered_assets_pct,
        is_partial,
        members_known,
        members,
        known_symbols,
        flow_usd as estimated_flow_usd,
        uncertainty_usd,
        quality,
        is_provisional,
        settled_session
    from signals.fund_flows_by('year', until)
),

lower_years as (
    select y.symbol, y.year, max(e.year) as last_lower_year
    from years as y
    join years as e
        on e.symbol = y.symbol and e.year < y.year and e.net_flow_usd < y.net_flow_usd and e.known_symbols = y.known_symbols
    where not y.is_partial
    group by y.symbol, y.year
)

select y.*, l.last_lower_year
from years as y
left join lower_years as l using (symbol, year)
order by symbol, year
