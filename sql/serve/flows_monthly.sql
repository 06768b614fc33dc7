-- serve.flows_monthly: flows of any funds and groups of funds over any months.
-- grain: symbol, month
-- sources: signals.fund_flows_monthly
-- null: net_flow_usd of a month that is not known; sum_usd from the first such month on
-- formula: sum_usd = sum of net_flow_usd since the first month shown
-- columns: those of signals.fund_flows_monthly; sum_usd
select
    symbol,
    month,
    net_flow_usd,
    flow_pct_of_assets,
    case when count(*) over so_far = count(net_flow_usd) over so_far then sum(net_flow_usd) over so_far end as sum_usd,
    sessions_covered_pct,
    is_partial,
    members_known,
    members
from signals.fund_flows_monthly
where symbol in getvariable('symbols')
    and month between date_trunc('month', getvariable('start')) and getvariable('finish')
window so_far as (partition by symbol order by month rows unbounded preceding)
order by list_position(getvariable('symbols'), symbol), month
