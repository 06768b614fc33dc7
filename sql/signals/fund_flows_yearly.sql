-- signals.fund_flows_yearly: flows by calendar year, for each fund and for each group of funds whose flows are summed.
-- grain: symbol, year
-- sources: signals.fund_flows_by, core.sessions
-- lookback: all; see signals.fund_flows_by
-- null: net_flow_usd of a year, the running one included, with under 90 % of its sessions so far covered; where counts are derived from assets
--   also with an uncertainty over 1 % of the flow; and of a group no member of which is known. flow_pct_of_assets also where
--   the assets before the year are not known; covered_assets_pct of a fund, and where the assets of any member are not known
-- formula: see signals.fund_flows_by; a fund that joins a group counts from the year on in which it joins. A year sums its members at its
--   end, cumulative_ytd_usd of signals.fund_flows_monthly those of each month
-- columns:
--   symbol: ticker, or group: and a flow_group of the universe, as in signals.fund_flows_monthly
--   year: calendar year
--   net_flow_usd: USD
--   flow_pct_of_assets: percent of NAV x shares at the last known count before the year
--   sessions_covered_pct: percent of the year's sessions so far that known flows cover; of a group, the mean of its members
--   covered_assets_pct: percent of the members' last known assets that the known members hold
--   is_partial: the year of the latest session, which may still change
--   members_known: members whose year is known
--   members: members that are listed or have records by then
--   known_symbols: members whose year is known
--   estimated_flow_usd: USD, the sum of all flows that are known of the year, however little of it they cover; a flow over a gap pro rata
--   uncertainty_usd: USD by which estimated_flow_usd may be off, since the day of creations in a gap is not known; a year without gaps has 0
--   quality: daily_count, spanned, monthly_count or derived, see core.fund_flows, the weakest in the year; mixed where members differ
--   is_provisional: a record that is not yet known may still add to the year
--   settled_session: session after the year with whose records it was settled
--   last_lower_year: the latest earlier year with a lower flow, of a group with the same members known; NULL where there is none, and of the
--     running year
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
    from signals.fund_flows_by('year', (select max(session) from core.sessions))
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
