-- signals.dispersion: how alike the sectors move, and how far apart their returns are.
-- grain: session
-- sources: core.sector_returns
-- lookback: 1323 rows
-- null: mean_correlation_63d without a pair of sectors with 63 returns each, return_dispersion_* with fewer than two returns; percentiles before the
--   1260th row with a value
-- formula: mean_correlation_63d = mean of the correlations of the daily total returns of each two sectors over the last 63 sessions;
--   return_dispersion = sample standard deviation across the sectors of their returns of the session, or over 21 sessions;
--   percentile = 100 x rows of the last 1260 with a lower value / (rows - 1): 0 is the lowest, 100 the highest
-- columns:
--   session: XNYS trading date
--   mean_correlation_63d: from -1 to 1; near 1 the sectors move as one, so that choosing among them matters little
--   pairs: pairs of sectors it is the mean of
--   return_dispersion_1d: fraction, of the session
--   return_dispersion_1m: fraction, over 21 sessions
--   sectors: sectors with a return that session
--   correlation_percentile_5y: 0 to 100, place of mean_correlation_63d
--   dispersion_percentile_5y: 0 to 100, place of return_dispersion_1m
with returns as (
    select sector, session, return_1d, return_1m
    from core.sector_returns
),

pairs as (
    select
        a.session,
        a.sector,
        b.sector as other_sector,
        case
            when count(a.return_1d + b.return_1d) over last_63 = 63 then corr(a.return_1d, b.return_1d) over last_63
        end as correlation
    from returns as a
    join returns as b on b.session = a.session and b.sector > a.sector
    window last_63 as (partition by a.sector, b.sector order by a.session rows 62 preceding)
),

correlations as (
    -- A sector whose returns are all the same has no correlation. As decimals the mean is the same in any order of the pairs.
    select session, avg(correlation::decimal(38, 18)) as mean_correlation_63d, count(correlation) as pairs
    from (select session, case when isfinite(correlation) then correlation end as correlation from pairs)
    group by session
),

spreads as (
    select
        session,
        stddev_samp(return_1d order by sector) as return_dispersion_1d,
        stddev_samp(return_1m order by sector) as return_dispersion_1m,
        count(return_1d) as sectors
    from returns
    group by session
),

together as (
    select s.session, c.mean_correlation_63d, coalesce(c.pairs, 0) as pairs, s.return_dispersion_1d, s.return_dispersion_1m, s.sectors
    from spreads as s
    left join correlations as c using (session)
)

select
    session,
    mean_correlation_63d,
    pairs,
    return_dispersion_1d,
    return_dispersion_1m,
    sectors,
    case when count(mean_correlation_63d) over last_1260 = 1260 then 100 * percent_rank(order by mean_correlation_63d) over last_1260 end as correlation_percentile_5y,
    case when count(return_dispersion_1m) over last_1260 = 1260 then 100 * percent_rank(order by return_dispersion_1m) over last_1260 end as dispersion_percentile_5y
from together
window last_1260 as (order by session rows 1259 preceding)
order by session
