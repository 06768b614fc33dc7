-- core.sector_returns: total returns of the sector funds, and their excess returns over their benchmark (SPY).
-- grain: sector, session
-- sources: core.instruments, core.returns
-- lookback: none
-- incremental: by session
-- null: where the base session is before the fund's first, or has no price; excess_* also where the benchmark's return is not known
-- formula: excess = return of the sector fund - return of its benchmark
-- columns:
--   sector: sector the fund stands for
--   session: XNYS trading date
--   symbol: ticker of the sector fund
--   return_1d: fraction
--   return_1w: fraction over 5 sessions
--   return_1m: fraction over 21 sessions
--   return_3m: fraction over 63 sessions
--   return_6m: fraction over 126 sessions
--   return_12m: fraction over 252 sessions
--   return_ytd: fraction since the last session of the previous year
--   excess_1d: fraction, sector less benchmark
--   excess_1w: fraction, sector less benchmark
--   excess_1m: fraction, sector less benchmark
--   excess_3m: fraction, sector less benchmark
--   excess_6m: fraction, sector less benchmark
--   excess_12m: fraction, sector less benchmark
--   excess_ytd: fraction, sector less benchmark
select
    i.sector,
    r.session,
    r.symbol,
    r.return_1d,
    r.return_1w,
    r.return_1m,
    r.return_3m,
    r.return_6m,
    r.return_12m,
    r.return_ytd,
    r.return_1d - b.return_1d as excess_1d,
    r.return_1w - b.return_1w as excess_1w,
    r.return_1m - b.return_1m as excess_1m,
    r.return_3m - b.return_3m as excess_3m,
    r.return_6m - b.return_6m as excess_6m,
    r.return_12m - b.return_12m as excess_12m,
    r.return_ytd - b.return_ytd as excess_ytd
from core.instruments as i
join core.returns as r on r.symbol = i.symbol
left join core.returns as b on b.symbol = i.benchmark and b.session = r.session
where i.kind = 'sector'
order by i.sector, r.session
