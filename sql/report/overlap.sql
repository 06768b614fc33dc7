-- report.overlap: how much of each two small-cap funds is the same, by their last holdings files up to the session.
-- grain: symbol, other_symbol
-- sources: signals.fund_overlap
-- null: never
-- columns: those of signals.fund_overlap
select symbol, other_symbol, overlap_weight_pct, common_holdings, as_of
from signals.fund_overlap
where as_of <= getvariable('session')
qualify row_number() over (partition by symbol, other_symbol order by as_of desc) = 1
order by symbol, other_symbol
