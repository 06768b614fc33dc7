-- signals.fund_flows_weekly: flows by calendar week, for each fund and for each group of funds whose flows are summed.
-- grain: symbol, week
-- sources: signals.fund_flows_by, core.sessions
-- lookback: all; see signals.fund_flows_by
-- null: net_flow_usd of a week, the running one included, with under 90 % of its sessions so far covered; where counts are derived from assets
--   also with an uncertainty over 1 % of the flow; and of a group no member of which is known. flow_pct_of_assets also where
--   the assets before the week are not known; covered_assets_pct of a fund, and where the assets of any member are not known
-- formula: see signals.fund_flows_by; a fund that joins a group counts from the week on in which it joins
-- columns:
--   symbol: ticker, or group: and a flow_group of the universe, as in signals.fund_flows_monthly
--   week: Monday of the week
--   net_flow_usd: USD
--   flow_pct_of_assets: percent of NAV x shares at the last known count before the week
--   sessions_covered_pct: percent of the week's sessions so far that known flows cover; of a group, the mean of its members
--   covered_assets_pct: percent of the members' last known assets that the known members hold
--   is_partial: the week of the latest session, which may still change
--   members_known: members whose week is known
--   members: members that are listed or have records by then
--   known_symbols: members whose week is known
--   estimated_flow_usd: USD, the sum of all flows that are known of the week, however little of it they cover; a flow over a gap pro rata
--   uncertainty_usd: USD by which estimated_flow_usd may be off, since the day of creations in a gap is not known; a week without gaps has 0
--   quality: daily_count, spanned, monthly_count or derived, see core.fund_flows, the weakest in the week; mixed where members differ
--   is_provisional: a record that is not yet known may still add to the week
--   settled_session: session after the week with whose records it was settled
select
    symbol,
    period as week,
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
from signals.fund_flows_by('week', (select max(session) from core.sessions))
order by symbol, week
