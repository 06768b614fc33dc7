-- signals.fund_overlap: how much of two small-cap funds is the same.

-- expectation: fund_overlap_both_ways
-- severity: critical
-- sentence: The overlap of two funds is not the same in both directions, is not between 0 and 100 percent, or is given without a common
--   holding.
select o.symbol, o.as_of as session, o.other_symbol, o.overlap_weight_pct, r.overlap_weight_pct as other_way_pct, o.common_holdings
from signals.fund_overlap as o
left join signals.fund_overlap as r on r.symbol = o.other_symbol and r.other_symbol = o.symbol and r.as_of = o.as_of
where r.symbol is null
    or r.common_holdings <> o.common_holdings
    or abs(r.overlap_weight_pct - o.overlap_weight_pct) > 1e-9
    or not coalesce(o.overlap_weight_pct between 0 and 100 + 1e-9, false)
    or (o.overlap_weight_pct > 0) <> (o.common_holdings > 0);

-- expectation: every_number_finite
-- severity: critical
-- sentence: A number of the table is infinite or not a number.
select symbol, as_of as session from signals.fund_overlap
where not isfinite(overlap_weight_pct);
