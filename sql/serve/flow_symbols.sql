-- serve.flow_symbols: the funds and groups of funds whose flows are recorded, groups first.
-- grain: symbol
-- sources: signals.fund_flows_monthly
-- null: none
-- columns: symbol: ticker, or group: and a flow_group
select distinct symbol, symbol like 'group:%' as is_group
from signals.fund_flows_monthly
order by is_group desc, symbol desc
