-- core.fund_flows: the flows derived from all fund records.

-- expectation: share_counts_alive
-- severity: warning
-- sentence: The share count has not changed for longer than it ever did before, while the NAV moved; the fund's flows
--   are NULL.
with last_rows as (
    from core.fund_flows
    qualify row_number() over (partition by symbol order by session desc) = 1
)
select symbol, session, sessions_unchanged, source
from last_rows
where null_reason = 'dead source';

-- expectation: flow_not_large
-- severity: info
-- sentence: The flow of a day exceeds 15 % of assets; it is kept, since such creations happen, mostly around the ends
--   of quarters.
select symbol, session, net_flow_usd, flow_pct_of_assets
from core.fund_flows
where is_large;
