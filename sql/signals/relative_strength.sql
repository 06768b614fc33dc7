-- signals.relative_strength: small against large companies, one row per followed pair and session on which both legs have a price.
-- grain: pair, session
-- sources: core.pairs, core.prices, core.returns, core.sessions, fn.difference_beyond_rounding, fn.z_score
-- lookback: all; ratio is rebased on the pair's first common session, and percentile_all ranks among all earlier rows
-- null: any value whose window is not full, percentile_all before the 252nd row; *_since_low also where the small leg had no price on
--   low_session; ratio_z252 in a flat window; days_leading where a leg had no price on the session before
-- formula: ratio = 100 x TRI_small / TRI_large, rebased to 100 on the pair's first common session; spread = small return - large return;
--   percentile = 100 x rows of the window with a lower ratio / (rows - 1): 0 is the lowest, 100 the highest
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
--   percentile_all: 0 to 100, place of ratio among all rows of the pair so far
--   ratio_percentile_5y: 0 to 100, place of ratio among the last 1260 rows of the pair
--   days_leading: sessions in a row, this one included, in which the small leg returned more than the large one
with followed as (
    select small_symbol as symbol from core.pairs
    union
    select large_symbol from core.pairs
),

-- Of the followed symbols alone: a join with all of core.prices would put these into memory.
prices as (
    select p.symbol, p.session, p.total_return_index
    from core.prices as p
    semi join followed as f on f.symbol = p.symbol
),

returns as (
    from core.returns as r
    semi join followed as f on f.symbol = r.symbol
),

lows as (
    select
        p.symbol,
        p.session,
        p.total_return_index as tri,
        -- Of equal lows the one with the highest session number, hence the minus sign.
        case when count(*) over last_252 = 252 then
            -(min({'tri': p.total_return_index, 'minus_number': -s.session_number}) over last_252).minus_number
        end as low_number
    from prices as p
    join core.sessions as s using (session)
    semi join core.pairs as legs on legs.large_symbol = p.symbol
    where p.total_return_index is not null
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
    join prices as p on p.symbol = pairs.small_symbol
),

common as (
    select l.*, p.total_return_index as large_tri, l.small_tri / p.total_return_index as quotient
    from small_legs as l
    join prices as p on p.symbol = l.large_symbol and p.session = l.session
    -- Not from a distribution on that is not known.
    where l.small_tri is not null and p.total_return_index is not null
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
        case when count(*) over last_252 = 252 then stddev_samp(ratio) over last_252 end as ratio_sd252,
        case when count(*) over so_far >= 252 then 100 * percent_rank(order by ratio) over so_far end as percentile_all,
        case when count(*) over last_1260 = 1260 then 100 * percent_rank(order by ratio) over last_1260 end as ratio_percentile_5y
    from ratios
    window
        so_far as (partition by pair order by session rows unbounded preceding),
        last_1260 as (partition by pair order by session rows 1259 preceding),
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
    left join prices as small_low on small_low.symbol = a.small_symbol and small_low.session = d.low_session
    left join prices as large_low on large_low.symbol = a.large_symbol and large_low.session = d.low_session
),

with_returns as (
    select
        a.*,
        small,
        large,
        fn.difference_beyond_rounding(1 + small.return_1d, 1 + large.return_1d) > 0 as is_leading,
        row_number() over (partition by a.pair order by a.session) as row_number
    from averaged as a
    join returns as small on small.symbol = a.small_symbol and small.session = a.session
    join returns as large on large.symbol = a.large_symbol and large.session = a.session
),

-- A run ends at a session on which the small leg does not lead, or on which that is not known.
runs as (
    select
        *,
        case
            when is_leading is not null then
                row_number - coalesce(max(row_number) filter (is_leading is not true) over (
                    partition by pair order by session rows unbounded preceding
                ), 0)
        end as days_leading
    from with_returns
)

select
    a.pair,
    a.session,
    a.small_symbol,
    a.large_symbol,
    a.ratio,
    a.small.return_1w - a.large.return_1w as spread_1w,
    a.small.return_1m - a.large.return_1m as spread_1m,
    a.small.return_3m - a.large.return_3m as spread_3m,
    a.small.return_6m - a.large.return_6m as spread_6m,
    a.small.return_12m - a.large.return_12m as spread_12m,
    a.small.return_ytd - a.large.return_ytd as spread_ytd,
    a.small.return_qtd - a.large.return_qtd as spread_qtd,
    l.small_return_since_low - l.large_return_since_low as spread_since_low,
    l.low_session,
    a.small.return_ytd as small_return_ytd,
    a.small.return_qtd as small_return_qtd,
    l.small_return_since_low,
    a.large.return_ytd as large_return_ytd,
    a.large.return_qtd as large_return_qtd,
    l.large_return_since_low,
    a.ratio_ma50,
    a.ratio_ma200,
    fn.z_score(a.ratio, a.ratio_mean252, a.ratio_sd252) as ratio_z252,
    a.percentile_all,
    a.ratio_percentile_5y,
    a.days_leading
from runs as a
left join since_low as l on l.pair = a.pair and l.session = a.session
-- A year at a time: one session of all pairs, and all sessions of one pair, each lie in a few blocks of the file.
order by year(a.session), a.pair, a.session
