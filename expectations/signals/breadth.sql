-- signals.breadth: how many symbols take part in a move.

-- expectation: breadth_counts
-- severity: critical
-- sentence: A count is negative, exceeds the number it is taken from, or is given although nothing was counted.
with everyone as (select count(*) as symbols, count(*) filter (kind = 'sector') as sectors from core.instruments where in_breadth)
select
    'signals' as symbol, b.session, b.sectors_beating_spy_3m, b.sectors_counted_3m, b.sectors_above_200d, b.sectors_counted_200d,
    b.universe_above_200d_pct, b.counted, b.missing
from signals.breadth as b
cross join everyone as e
where not coalesce(b.sectors_counted_3m between 0 and e.sectors, false)
    or not coalesce(b.sectors_counted_200d between 0 and least(e.sectors, b.counted), false)
    or not coalesce(b.counted >= 0 and b.missing >= 0 and b.counted + b.missing <= e.symbols, false)
    or not b.sectors_beating_spy_3m between 0 and b.sectors_counted_3m
    or not b.sectors_above_200d between 0 and b.sectors_counted_200d
    or not b.universe_above_200d_pct between 0 and 100
    or (b.sectors_beating_spy_3m is null) <> (b.sectors_counted_3m = 0)
    or (b.sectors_above_200d is null) <> (b.sectors_counted_200d = 0)
    or (b.universe_above_200d_pct is null) <> (b.counted = 0)
    or (b.missing_symbols is null) <> (b.missing = 0)
    or len(string_split(b.missing_symbols, ', ')) <> b.missing;

-- expectation: breadth_recounts_sectors
-- severity: critical
-- sentence: The number of sectors that beat the market differs from the one in signals.sector_leadership.
with recounted as (
    select session, count(excess_3m) as counted, count(*) filter (excess_3m > 0) as beating
    from signals.sector_leadership as l
    semi join (from core.instruments where in_breadth) as i on i.symbol = l.symbol
    group by session
)
select 'signals' as symbol, b.session, b.sectors_beating_spy_3m, b.sectors_counted_3m, r.beating, r.counted
from signals.breadth as b
left join recounted as r on r.session = b.session
where b.sectors_counted_3m is distinct from coalesce(r.counted, 0)
    or coalesce(b.sectors_beating_spy_3m, 0) <> coalesce(r.beating, 0);

-- expectation: breadth_equal_weight_known
-- severity: critical
-- sentence: The lead of the equal-weight fund is not the difference of the two 3-month returns, or is known without
--   both.
with equal_weight as (
    select r.session, r.return_3m - c.return_3m as equal_minus_cap_3m
    from core.returns as r
    join core.instruments as i on i.symbol = r.symbol
    join core.returns as c on c.symbol = i.benchmark and c.session = r.session
    where r.symbol = (select min(symbol) from core.instruments where peer_group = 'equal_weight')
)
select 'signals' as symbol, b.session, b.equal_minus_cap_3m, e.equal_minus_cap_3m as difference_of_returns
from signals.breadth as b
left join equal_weight as e on e.session = b.session
where (b.equal_minus_cap_3m is null) <> (e.equal_minus_cap_3m is null) or abs(b.equal_minus_cap_3m - e.equal_minus_cap_3m) > 1e-12;

-- expectation: every_number_finite
-- severity: critical
-- sentence: A number of the table is infinite or not a number.
select 'signals' as symbol, session from signals.breadth
where not (isfinite(equal_minus_cap_3m) and isfinite(universe_above_200d_pct));
