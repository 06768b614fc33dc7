-- serve.funds: any funds and stocks side by side at a session.
-- grain: symbol; those chosen
-- sources: core.instruments, core.prices, core.returns, core.fund_facts, signals.fund_comparison
-- null: a value whose window is not full, or that no source gives; net_flow_12m_usd and premium_pct outside the peer group of signals.fund_comparison
-- formula: as signals.fund_comparison, over the symbol's last 252 and 30 rows up to the session
-- columns: those of signals.fund_comparison, and the returns of core.returns; expense_pct is percent of assets a year
with chosen as (
    select symbol, name, index_name, benchmark from core.instruments where symbol in getvariable('symbols')
),

bars as (
    select
        p.symbol, p.session, p.return_1d, p.total_return_index as tri, p.close * p.volume as traded_usd, b.return_1d as benchmark_return_1d,
        row_number() over (partition by p.symbol order by p.session desc) as place
    from core.prices as p
    join chosen as c using (symbol)
    left join core.prices as b on b.symbol = c.benchmark and b.session = p.session
    where p.session <= getvariable('session')
    qualify place <= 252
),

falls as (
    select *, tri / max(tri) over (partition by symbol order by session rows unbounded preceding) - 1 as fall
    from bars
),

risks as (
    select
        symbol,
        case when count(return_1d) = 252 then stddev_samp(return_1d) * sqrt(252) end as volatility_252d,
        case when count(return_1d + benchmark_return_1d) = 252 then
            covar_samp(return_1d, benchmark_return_1d) / nullif(var_samp(benchmark_return_1d), 0)
        end as beta_252d,
        case when count(tri) = 252 then min(fall) end as max_drawdown_252d,
        case when count(traded_usd) filter (place <= 30) = 30 then median(traded_usd) filter (place <= 30) end as median_dollar_volume_30d_usd
    from falls
    group by symbol
    -- A symbol without a price on the session has ended, or is not known that day.
    having max(session) = getvariable('session')
),

facts as (
    from core.fund_facts
    where as_of <= getvariable('session')
    qualify row_number() over (partition by symbol order by as_of desc) = 1
)

select
    c.symbol,
    c.name,
    c.index_name,
    100 * f.expense_ratio as expense_pct,
    f.holdings_count,
    coalesce(k.total_net_assets_usd, f.total_net_assets_usd) as total_net_assets_usd,
    r.return_1m,
    r.return_3m,
    r.return_12m,
    r.return_ytd,
    x.volatility_252d,
    x.max_drawdown_252d,
    x.beta_252d,
    x.median_dollar_volume_30d_usd,
    k.premium_pct,
    k.net_flow_12m_usd
from chosen as c
left join risks as x using (symbol)
left join core.returns as r on r.symbol = c.symbol and r.session = getvariable('session')
left join facts as f on f.symbol = c.symbol
left join signals.fund_comparison as k on k.symbol = c.symbol and k.session = getvariable('session')
order by list_position(getvariable('symbols'), c.symbol)
