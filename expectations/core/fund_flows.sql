-- core.fund_flows: the flows derived from all fund records.

-- expectation: share_counts_alive
-- severity: warning
-- sentence: The share count has not changed for longer than it ever did before, while the NAV moved; the fund's flows
--   are NULL.
with last_rows as (
    from core.fund_flows
    semi join core.instruments using (symbol)
    qualify row_number() over (partition by symbol order by session desc) = 1
)
select symbol, session, sessions_unchanged, source
from last_rows
where null_reason = 'dead source';

-- expectation: flow_not_large
-- severity: info
-- sentence: A flow exceeds 15 % of assets; it is kept, since such creations happen, mostly around the ends
--   of quarters.
select symbol, session, net_flow_usd, flow_pct_of_assets
from core.fund_flows
where is_large;

-- expectation: fund_flows_explained
-- severity: critical
-- sentence: A flow lacks the sessions it spans or the quality of its count, spans more than 23 sessions, or is NULL
--   without a reason.
select symbol, session, net_flow_usd, sessions_spanned, quality, null_reason
from core.fund_flows
where (net_flow_usd is null) <> (null_reason is not null)
    or (net_flow_usd is null) <> (sessions_spanned is null)
    or (net_flow_usd is null) <> (quality is null)
    or not coalesce(sessions_spanned between 1 and 23, true)
    or not coalesce(quality in ('daily_count', 'spanned', 'monthly_count', 'derived'), true)
    or coalesce(quality = 'spanned', false) and sessions_spanned = 1
    or coalesce(quality = 'daily_count', false) and sessions_spanned > 1;

-- expectation: fund_flows_do_not_overlap
-- severity: critical
-- sentence: Two flows of a fund cover the same session, which would be counted twice.
with numbered as (
    select f.symbol, f.session, f.sessions_spanned, s.session_number
    from core.fund_flows as f
    join core.sessions as s using (session)
    where f.net_flow_usd is not null
)
select symbol, session, sessions_spanned
from numbered
qualify session_number - sessions_spanned < lag(session_number) over (partition by symbol order by session);
