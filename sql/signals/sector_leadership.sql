-- signals.sector_leadership: which sectors lead, by total return over several horizons.
-- grain: sector, session
-- sources: core.sector_returns
-- lookback: none
-- incremental: by session
-- null: a sector whose window is not full has no return, no rank, and does not count in the others' ranks
-- formula: rank 1 = highest return of the session; ties share the lower number
-- columns:
--   sector: sector
--   session: XNYS trading date
--   symbol: ticker of the sector fund
--   return_1m: fraction over 21 sessions
--   return_3m: fraction over 63 sessions
--   return_6m: fraction over 126 sessions
--   return_12m: fraction over 252 sessions
--   return_ytd: fraction since the last session of the previous year
--   excess_1m: fraction, sector less benchmark
--   excess_3m: fraction, sector less benchmark
--   excess_6m: fraction, sector less benchmark
--   excess_12m: fraction, sector less benchmark
--   excess_ytd: fraction, sector less benchmark
--   rank_1m: 1 = best
--   rank_3m: 1 = best
--   rank_6m: 1 = best
--   rank_12m: 1 = best
--   rank_ytd: 1 = best
select
    sector,
    session,
    symbol,
    return_1m,
    return_3m,
    return_6m,
    return_12m,
    return_ytd,
    excess_1m,
    excess_3m,
    excess_6m,
    excess_12m,
    excess_ytd,
    case when return_1m is not null then rank() over (partition by session order by return_1m desc nulls last) end as rank_1m,
    case when return_3m is not null then rank() over (partition by session order by return_3m desc nulls last) end as rank_3m,
    case when return_6m is not null then rank() over (partition by session order by return_6m desc nulls last) end as rank_6m,
    case when return_12m is not null then rank() over (partition by session order by return_12m desc nulls last) end as rank_12m,
    case when return_ytd is not null then rank() over (partition by session order by return_ytd desc nulls last) end as rank_ytd
from core.sector_returns
order by session, sector
