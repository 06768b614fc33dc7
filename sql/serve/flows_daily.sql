-- serve.flows_daily: flows of any funds session by session.
-- grain: symbol, session
-- sources: core.fund_flows
-- null: net_flow_usd of a session that is not known; sum_usd while under 90 % of the sessions so far are known
-- formula: sum_usd = sum of the known net_flow_usd since the first session shown
-- columns: those of core.fund_flows; sum_usd
select
    symbol,
    session,
    net_flow_usd,
    flow_pct_of_assets,
    case when count(net_flow_usd) over so_far >= 0.9 * count(*) over so_far then sum(net_flow_usd) over so_far end as sum_usd,
    source
from core.fund_flows
where symbol in getvariable('symbols')
    and session between getvariable('start') and getvariable('finish')
window so_far as (partition by symbol order by session rows unbounded preceding)
order by list_position(getvariable('symbols'), symbol), session
