-- signals.fund_flows_yearly: flows by calendar year, of funds and of groups.

-- expectation: fund_flows_yearly_counts
-- severity: critical
-- sentence: The known members or the coverage of a year are out of range, or the flow is given without a known
--   member.
select symbol, make_date(year, 1, 1) as session, net_flow_usd, members_known, members, sessions_covered_pct, covered_assets_pct
from signals.fund_flows_yearly
where not coalesce(members_known >= 0 and members > 0, false)
    or members_known > members or (not starts_with(symbol, 'group:') and members > 1)
    or not coalesce(sessions_covered_pct between 0 and 100 + 1e-9, false)
    or not coalesce(covered_assets_pct between 0 and 100 + 1e-9, true)
    or not coalesce(uncertainty_usd >= 0, true)
    or (net_flow_usd is null) <> (members_known = 0)
    or coalesce(net_flow_usd, 0) <> 0 and not starts_with(symbol, 'group:') and sessions_covered_pct < 90 - 1e-9
    or not coalesce(last_lower_year < year, true);

-- expectation: fund_flows_yearly_groups_add_up
-- severity: critical
-- sentence: The flow of a group is not the sum over its known members to the cent, or the number of known members differs.
with members as (
    select g.symbol, g.year, unnest(string_split(g.known_symbols, ', ')) as member
    from signals.fund_flows_yearly as g
    where starts_with(g.symbol, 'group:')
),
funds as (
    select m.symbol, m.year, sum(f.net_flow_usd) as flow_of_members, count(f.net_flow_usd) as known_of_members
    from members as m
    left join signals.fund_flows_yearly as f on f.symbol = m.member and f.year = m.year
    group by m.symbol, m.year
)
select g.symbol, make_date(g.year, 1, 1) as session, g.net_flow_usd, f.flow_of_members, g.members_known, f.known_of_members, g.members
from signals.fund_flows_yearly as g
left join funds as f on f.symbol = g.symbol and f.year = g.year
where starts_with(g.symbol, 'group:') and (
    (g.net_flow_usd is null) <> (f.flow_of_members is null)
    or abs(g.net_flow_usd - f.flow_of_members) > 0.01
    or g.members_known is distinct from coalesce(f.known_of_members, 0)
);

-- expectation: every_number_finite
-- severity: critical
-- sentence: A number of the table is infinite or not a number.
select symbol, make_date(year, 1, 1) as session from signals.fund_flows_yearly
where not (
    isfinite(net_flow_usd) and isfinite(flow_pct_of_assets) and isfinite(estimated_flow_usd) and isfinite(uncertainty_usd)
    and isfinite(sessions_covered_pct) and isfinite(covered_assets_pct)
);

-- expectation: fund_flows_yearly_sum_of_months
-- severity: critical
-- sentence: The flow of a completed year is not the sum of its twelve months, although all of them are known.
with months as (
    select symbol, year(month) as year, sum(net_flow_usd) as flow_of_months
    from signals.fund_flows_monthly
    group by symbol, year(month)
    having count(net_flow_usd) = 12
)
select y.symbol, make_date(y.year, 1, 1) as session, y.net_flow_usd, m.flow_of_months
from signals.fund_flows_yearly as y
join months as m on m.symbol = y.symbol and m.year = y.year
where not y.is_partial and not starts_with(y.symbol, 'group:')
    and abs(y.net_flow_usd - m.flow_of_months) > 0.01 + 1e-9 * abs(m.flow_of_months);
