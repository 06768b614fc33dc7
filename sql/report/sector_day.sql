-- report.sector_day: what each sector returned on the session, over a week and a month, the best of the day first.
-- grain: sector
-- sources: core.sector_returns
-- null: a return whose window is not full
-- columns: those of core.sector_returns; name; market_return_1d: of the benchmark; sectors_up and sectors_known, the same in each row
select
    sector,
    replace(sector, '_', ' ') as name,
    symbol,
    return_1d,
    excess_1d,
    return_1d - excess_1d as market_return_1d,
    return_1w,
    excess_1w,
    return_1m,
    excess_1m,
    count(*) filter (return_1d > 0) over () as sectors_up,
    count(return_1d) over () as sectors_known
from core.sector_returns
where session = getvariable('session')
order by return_1d desc nulls last, sector
