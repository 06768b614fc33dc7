-- report.fund_flows_yearly: money into and out of small-cap funds by year: the group, the group without the headline's fund, and that fund.
-- grain: symbol, year
-- sources: signals.fund_flows_yearly_until, core.pairs
-- null: net_flow_usd of a year that is not known; covered_assets_pct of a fund, and while the assets of any fund of the group are not known;
--   see signals.fund_flows_yearly
-- formula: signals.fund_flows_yearly from the records up to the session; of the latest session the table itself is read; the last
--   ten years
-- columns: those of signals.fund_flows_yearly; funds in words
with wanted as (
    select 'group:small_cap' as symbol, 'small-cap funds' as funds, 1 as place
    union all
    select 'group:small_cap_ex_' || lower(small_symbol), 'small-cap funds without ' || small_symbol, 2 from core.pairs where headline
    union all
    select small_symbol, small_symbol, 3 from core.pairs where headline
)

select
    y.symbol,
    w.funds,
    y.year,
    y.net_flow_usd,
    y.flow_pct_of_assets,
    y.sessions_covered_pct,
    y.covered_assets_pct,
    y.members_known,
    y.members,
    y.is_partial
from signals.fund_flows_yearly_until(getvariable('session')) as y
join wanted as w on w.symbol = y.symbol
where y.year >= year(getvariable('session')) - 9
order by w.place, y.year desc
