-- report.fund_flows: money into and out of small-cap and large-cap funds, month by month over three years, as known after the session.
-- grain: symbol, month
-- sources: signals.fund_flows_monthly_until
-- null: net_flow_usd of a month that is not known, cumulative_ytd_usd from the year's first such month on; covered_assets_pct while the assets of
--   any fund of the group are not known; see signals.fund_flows_monthly
-- formula: signals.fund_flows_monthly from the records up to the session, so that it holds nothing after it; of the latest session the
--   table itself is read
-- columns: those of signals.fund_flows_monthly; flow_group in words
select
    symbol,
    case symbol when 'group:small_cap' then 'small-cap funds' else 'large-cap funds' end as flow_group,
    month,
    net_flow_usd,
    cumulative_ytd_usd,
    streak_months,
    sessions_covered_pct,
    covered_assets_pct,
    members_known,
    members,
    is_partial
from signals.fund_flows_monthly_until(getvariable('session'), ['group:small_cap', 'group:large_cap'])
where
    symbol in ('group:small_cap', 'group:large_cap')
    and month >= date_trunc('month', getvariable('session')) - interval 36 months
order by symbol desc, month
