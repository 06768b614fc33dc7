-- report.funds: the small-cap funds side by side at the session, for choosing among them.
-- grain: symbol
-- sources: core.instruments, core.fund_facts, core.fund_nav, signals.fund_comparison
-- null: a value whose window is not full, or that no source gives
-- columns: those of signals.fund_comparison; expense_pct is percent of assets a year; premium_pct is the last one known within 5 sessions, of premium_session, since a NAV is published on the
--   next day; shares_source says whether shares, and with them flows, are published or derived from assets
with comparison as (
    from signals.fund_comparison where session = getvariable('session')
),

premiums as (
    select symbol, session as premium_session, premium_pct
    from signals.fund_comparison
    where session <= getvariable('session') and session > getvariable('session') - interval 7 days and premium_pct is not null
    qualify row_number() over (partition by symbol order by session desc) = 1
),

share_sources as (
    select symbol, source as shares_source
    from core.fund_nav
    where session <= getvariable('session')
    qualify row_number() over (partition by symbol order by session desc) = 1
),

facts as (
    select symbol, max(as_of) as facts_as_of
    from core.fund_facts
    where as_of <= getvariable('session')
    group by symbol
)

select
    c.symbol,
    i.name,
    i.index_name,
    c.expense_ratio,
    100 * c.expense_ratio as expense_pct,
    c.holdings_count,
    c.total_net_assets_usd,
    c.return_12m,
    c.return_3y,
    c.return_5y,
    c.return_10y,
    c.beta_252d,
    c.beta_3y_monthly,
    c.beta_5y_monthly,
    c.volatility_252d,
    c.max_drawdown_252d,
    c.max_drawdown_5y,
    c.median_dollar_volume_30d_usd,
    c.median_share_volume_30d,
    c.bid_ask_spread_pct,
    p.premium_pct,
    p.premium_session,
    c.premium_null_reason,
    c.dividend_yield,
    c.trailing_pe,
    c.top10_weight_pct,
    c.effective_holdings,
    c.net_flow_12m_usd,
    s.shares_source,
    f.facts_as_of
from comparison as c
join core.instruments as i using (symbol)
left join premiums as p using (symbol)
left join share_sources as s using (symbol)
left join facts as f using (symbol)
order by c.expense_ratio, c.symbol
