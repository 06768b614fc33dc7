-- signals.fund_comparison: the small-cap funds side by side.

-- expectation: fund_comparison_every_price
-- severity: critical
-- sentence: A small-cap fund lacks a session on which it has a price, or has a session without a price.
with priced as (
    select p.symbol, p.session
    from core.prices as p
    semi join (from core.instruments where peer_group = 'small_cap') as i on i.symbol = p.symbol
)
select coalesce(p.symbol, r.symbol) as symbol, coalesce(p.session, r.session) as session, r.session is null as is_missing
from priced as p
full join signals.fund_comparison as r on r.symbol = p.symbol and r.session = p.session
where p.session is null or r.session is null;

-- expectation: fund_comparison_full_windows
-- severity: critical
-- sentence: A fund's drawdown does not start at its 252nd row, or one of its 252-day figures is out of range.
select
    symbol, max(session) filter (max_drawdown_252d is null) as session, count(*) as rows, count(max_drawdown_252d) as drawdowns,
    min(max_drawdown_252d) as deepest, max(max_drawdown_252d) as shallowest, min(volatility_252d) as calmest
from signals.fund_comparison
group by symbol
having count(max_drawdown_252d) <> greatest(count(*) - 251, 0)
    or max(session) filter (max_drawdown_252d is null) > min(session) filter (max_drawdown_252d is not null)
    or max(max_drawdown_252d) > 0 or min(max_drawdown_252d) < -1 or min(volatility_252d) < 0;

-- expectation: every_number_finite
-- severity: critical
-- sentence: A number of the table is infinite or not a number.
select symbol, session from signals.fund_comparison
where not (
    isfinite(expense_ratio) and isfinite(total_net_assets_usd) and isfinite(return_12m) and isfinite(beta_252d)
    and isfinite(volatility_252d) and isfinite(max_drawdown_252d) and isfinite(median_dollar_volume_30d_usd)
    and isfinite(premium_pct) and isfinite(net_flow_12m_usd) and isfinite(return_3y) and isfinite(return_5y) and isfinite(return_10y)
    and isfinite(beta_3y_monthly) and isfinite(beta_5y_monthly) and isfinite(max_drawdown_5y) and isfinite(median_share_volume_30d)
    and isfinite(bid_ask_spread_pct) and isfinite(dividend_yield) and isfinite(trailing_pe) and isfinite(top10_weight_pct)
    and isfinite(effective_holdings)
);
