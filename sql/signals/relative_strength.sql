-- signals.relative_strength: small against large companies, one row per followed pair and session on which both legs have a price.
-- grain: pair, session
-- sources: core.pairs, core.prices, core.returns, core.sessions, core.z_score
-- lookback: 252 sessions, and back to the last session of the previous year
-- null: any value whose window is not full; *_since_low also where the small leg had no price on low_session; ratio_z252 in a flat window
-- formula: ratio = 100 x TRI_small / TRI_large, rebased to 100 on the pair's first common session; spread = small return - large return
-- columns:
--   pair: small_symbol/large_symbol
--   session: XNYS trading date
--   small_symbol: the leg in the numerator
--   large_symbol: the leg in the denominator
--   ratio: 100 on the first common session; rises while the small leg leads
--   spread_1w: fraction over 5 sessions, small less large
--   spread_1m: fraction over 21 sessions, small less large
--   spread_3m: fraction over 63 sessions, small less large
--   spread_6m: fraction over 126 sessions, small less large
--   spread_12m: fraction over 252 sessions, small less large
--   spread_ytd: fraction since the last session of the previous year, small less large
--   spread_qtd: fraction since the last session of the previous quarter, small less large
--   spread_since_low: fraction since low_session, small less large
--   low_session: session of the large leg's lowest total-return index in its last 252 sessions, this one included; the latest on a tie
--   small_return_ytd: fraction
--   small_return_qtd: fraction
--   small_return_since_low: fraction
--   large_return_ytd: fraction
--   large_return_qtd: fraction
--   large_return_since_low: fraction
--   ratio_ma50: mean of ratio over the last 50 rows
--   ratio_ma200: mean of ratio over the last 200 rows
--   ratio_z252: (ratio - mean) / sample standard deviation of the last 252 rows
with lows as (
    select
        p.symbol,
        p.session,
        p.total_return_index as tri,
        -- Of equal lows the one with the highest session number, hence the minus sign.
        case when count(*) over last_252 = 252 then
            -(min({'tri': p.total_return_index, 'minus_number': -s.session_number}) over last_252).minus_number
        end as low_number
    from core.prices as p
    join core.sessions as s using (session)
    semi join core.pairs as legs on legs.large_symbol = p.symbol
    window last_252 as (partition by p.symbol order by p.session rows 251 preceding)
),

low_days as (
    select l.symbol, l.session, s.session as low_session
    from lows as l
    join core.sessions as s on s.session_number = l.low_number
),

small_legs as (
    select pairs.pair, pairs.small_symbol, pairs.large_symbol, p.session, p.total_return_index as small_tri
    from core.pairs as pairs
    join core.prices as p on p.symbol = pairs.small_symbol
),

common as (
    select l.*, p.total_return_index as large_tri, l.small_tri / p.total_return_index as quotient
    from small_legs as l
    join core.prices as p on p.symbol = l.large_symbol and p.session = l.session
),

ratios as (
    select *, 100 * quotient / first(quotient) over (partition by pair order by session rows unbounded preceding) as ratio
    from common
),

averaged as (
    select
        *,
        case when count(*) over last_50 = 50 then avg(ratio) over last_50 end as ratio_ma50,
        case when count(*) over last_200 = 200 then avg(ratio) over last_200 end as ratio_ma200,
        case when count(*) over last_252 = 252 then avg(ratio) over last_252 end as ratio_mean252,
        case when count(*) over last_252 = 252 then stddev_samp(ratio) over last_252 end as ratio_sd252
    from ratios
    window
        last_50 as (partition by pair order by session rows 49 preceding),
        last_200 as (partition by pair order by session rows 199 preceding),
        last_252 as (partition by pair order by session rows 251 preceding)
),

since_low as (
    select
        a.pair, a.session, d.low_session,
        a.small_tri / small_low.total_return_index - 1 as small_return_since_low,
        a.large_tri / large_low.total_return_index - 1 as large_return_since_low
    from averaged as a
    join low_days as d on d.symbol = a.large_symbol and d.session = a.session
    left join core.prices as small_low on small_low.symbol = a.small_symbol and small_low.session = d.low_session
    left join core.prices as large_low on large_low.symbol = a.large_symbol and large_low.session = d.low_session
),

with_small as (
    select a.*, r as small
    from averaged as a
    join core.returns as r on r.symbol = a.small_symbol and r.session = a.session
)

select
    a.pair,
    a.session,
    a.small_symbol,
    a.large_symbol,
    a.ratio,
    a.small.return_1w - large.return_1w as spread_1w,
    a.small.return_1m - large.return_1m as spread_1m,
    a.small.return_3m - large.return_3m as spread_3m,
    a.small.return_6m - large.return_6m as spread_6m,
    a.small.return_12m - large.return_12m as spread_12m,
    a.small.return_ytd - large.return_ytd as spread_ytd,
    a.small.return_qtd - large.return_qtd as spread_qtd,
    l.small_return_since_low - l.large_return_since_low as spread_since_low,
    l.low_session,
    a.small.return_ytd as small_return_ytd,
    a.small.return_qtd as small_return_qtd,
    l.small_return_since_low,
    large.return_ytd as large_return_ytd,
    large.return_qtd as large_return_qtd,
    l.large_return_since_low,
    a.ratio_ma50,
    a.ratio_ma200,
    core.z_score(a.ratio, a.ratio_mean252, a.ratio_sd252) as ratio_z252
from with_small as a
join core.returns as large on large.symbol = a.large_symbol and large.session = a.session
left join since_low as l on l.pair = a.pair and l.session = a.session
order by a.pair, a.session
