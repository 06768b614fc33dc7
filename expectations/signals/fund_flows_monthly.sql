-- signals.fund_flows_monthly: flows by calendar month, of funds and of groups.

-- expectation: fund_flows_monthly_counts
-- severity: critical
-- sentence: The known members or the coverage of a month are out of range, or the flow is given without a known
--   member.
select symbol, month as session, net_flow_usd, members_known, members, sessions_covered_pct, covered_assets_pct
from signals.fund_flows_monthly
where not coalesce(members_known >= 0 and members > 0, false)
    or members_known > members or (not starts_with(symbol, 'group:') and members > 1)
    or not coalesce(sessions_covered_pct between 0 and 100 + 1e-9, false)
    or not coalesce(covered_assets_pct between 0 and 100 + 1e-9, true)
    or not coalesce(uncertainty_usd >= 0, true)
    or (net_flow_usd is null) <> (members_known = 0)
    or coalesce(net_flow_usd, 0) <> 0 and not starts_with(symbol, 'group:') and sessions_covered_pct < 90 - 1e-9
    or month <> date_trunc('month', month)
    or not coalesce(percentile between 0 and 100, true);

-- expectation: fund_flows_monthly_groups_add_up
-- severity: critical
-- sentence: The flow of a group is not the sum over its known members to the cent, or the number of known members differs.
with members as (
    select g.symbol, g.month, unnest(string_split(g.known_symbols, ', ')) as member
    from signals.fund_flows_monthly as g
    where starts_with(g.symbol, 'group:')
),
funds as (
    select m.symbol, m.month, sum(f.net_flow_usd) as flow_of_members, count(f.net_flow_usd) as known_of_members
    from members as m
    left join signals.fund_flows_monthly as f on f.symbol = m.member and f.month = m.month
    group by m.symbol, m.month
)
select g.symbol, g.month as session, g.net_flow_usd, f.flow_of_members, g.members_known, f.known_of_members, g.members
from signals.fund_flows_monthly as g
left join funds as f on f.symbol = g.symbol and f.month = g.month
where starts_with(g.symbol, 'group:') and (
    (g.net_flow_usd is null) <> (f.flow_of_members is null)
    or abs(g.net_flow_usd - f.flow_of_members) > 0.01
    or g.members_known is distinct from coalesce(f.known_of_members, 0)
);

-- expectation: every_number_finite
-- severity: critical
-- sentence: A number of the table is infinite or not a number.
select symbol, month as session from signals.fund_flows_monthly
where not (
    isfinite(net_flow_usd) and isfinite(flow_pct_of_assets) and isfinite(estimated_flow_usd) and isfinite(uncertainty_usd)
    and isfinite(sessions_covered_pct) and isfinite(covered_assets_pct)
    and isfinite(cumulative_ytd_usd) and isfinite(percentile) and isfinite(flow_z)
);
