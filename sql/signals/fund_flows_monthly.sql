-- signals.fund_flows_monthly: flows by calendar month, for each fund and for each group of funds whose flows are summed.
-- grain: symbol, month
-- sources: signals.fund_flows_by, fn.z_score
-- lookback: all; the streak and the percentile reach to the fund's first record
-- null: net_flow_usd of a month, the running one included, with under 90 % of its sessions so far covered; where counts are derived from assets
--   also with under 99 % of them placed in the month for sure; and of a group no member of which is known. flow_pct_of_assets also where
--   the assets before the month are not known; cumulative_ytd_usd from the year's first month on that is NULL; percentile and flow_z of
--   the running month, and with under 36 earlier months to compare with; covered_assets_pct of a fund, and where the assets of any
--   member are not known
-- formula: see signals.fund_flows_by. streak = months in a row with flows of one sign, negative for outflows, counting completed months only;
--   the running month carries the streak reached before it. percentile = 100 x earlier months with a lower flow_pct_of_assets / earlier
--   months; flow_z = (flow_pct_of_assets - mean) / sample standard deviation of the same months. Months of a group are compared, and
--   follow on each other in a streak, where the same members are known, or where in both those known hold at least half of the group's
--   assets
-- columns:
--   symbol: ticker, or group: and a flow_group of the universe, such as group:small_cap; group:small_cap_ex_iwm is without the headline's fund
--   month: first day of the month
--   net_flow_usd: USD
--   flow_pct_of_assets: percent of NAV x shares at the last known count before the month
--   cumulative_ytd_usd: USD since the start of the year
--   streak_months: completed months in a row with flows of one sign, negative for outflows
--   sessions_covered_pct: percent of the month's sessions so far that known flows cover; of a group, the mean of its members
--   is_partial: the month of the latest session, which may still change
--   members_known: members whose month is known
--   members: members that are listed, or have records, by then
--   covered_assets_pct: percent of the members' last known assets that the known members hold
--   percentile: 0 to 100, place of flow_pct_of_assets among the earlier completed months
--   flow_z: standard deviations of flow_pct_of_assets above the mean of these months
--   estimated_flow_usd: USD, all flows that are known of the month, however little of it they cover; a flow over a gap pro rata
--   quality: daily_count, spanned, monthly_count or derived, see core.fund_flows, the weakest in the month; mixed where members differ
--   known_symbols: members whose month is known
--   is_provisional: a record that is not yet known may still add to the month
--   settled_session: session after the month with whose records it became what it is
with months as (
    select * rename (period as month, flow_usd as estimated_flow_usd), 100 * net_flow_usd / nullif(assets_usd, 0) as flow_pct_of_assets
    from signals.fund_flows_by('month')
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
        fn.z_score(any_value(m.flow_pct_of_assets), avg(e.flow_pct_of_assets), stddev_samp(e.flow_pct_of_assets)) as flow_z
    from months as m
    join months as e
        on e.symbol = m.symbol and e.month < m.month
        and (e.known_symbols = m.known_symbols or (e.covered_assets_pct >= 50 and m.covered_assets_pct >= 50))
    where not m.is_partial and m.flow_pct_of_assets is not null and e.flow_pct_of_assets is not null
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
