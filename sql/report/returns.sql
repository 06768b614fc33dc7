-- report.returns: both legs of each pair over all horizons, and how far the small one is ahead.
-- grain: pair
-- sources: core.pairs, core.returns, signals.relative_strength
-- null: where a leg's window is not full
-- columns: those of signals.relative_strength; small_return_* and large_return_* of the legs, spread_* small less large, all fractions;
--   pairs_ahead_3m of the pairs_known_3m have the small leg ahead over three months, the same in each row
select
    r.pair,
    r.small_symbol,
    r.large_symbol,
    p.headline,
    r.low_session,
    count(*) filter (r.spread_3m > 0) over () as pairs_ahead_3m,
    count(r.spread_3m) over () as pairs_known_3m,
    r.spread_1w,
    small.return_1w as small_return_1w,
    large.return_1w as large_return_1w,
    r.spread_1m,
    small.return_1m as small_return_1m,
    large.return_1m as large_return_1m,
    r.spread_3m,
    small.return_3m as small_return_3m,
    large.return_3m as large_return_3m,
    r.spread_6m,
    small.return_6m as small_return_6m,
    large.return_6m as large_return_6m,
    r.spread_12m,
    small.return_12m as small_return_12m,
    large.return_12m as large_return_12m,
    r.spread_ytd,
    r.small_return_ytd,
    r.large_return_ytd,
    r.spread_qtd,
    r.small_return_qtd,
    r.large_return_qtd,
    r.spread_since_low,
    r.small_return_since_low,
    r.large_return_since_low
from signals.relative_strength as r
join core.pairs as p on p.pair = r.pair
left join core.returns as small on small.symbol = r.small_symbol and small.session = r.session
left join core.returns as large on large.symbol = r.large_symbol and large.session = r.session
where r.session = getvariable('session')
order by p.headline desc, r.pair
