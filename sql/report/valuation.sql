-- report.valuation: price over earnings of both legs of each pair, by the last snapshots of the funds.
-- grain: pair
-- sources: core.pairs, core.fund_facts
-- null: a price over earnings that no snapshot of the last 31 days gives, and the ratio where either is not known
-- formula: ratio = that of the small leg / that of the large one; under 1 small caps are cheaper
-- columns: pair; headline; small_symbol and large_symbol; small_trailing_pe and large_trailing_pe; pe_ratio; small_as_of and large_as_of of the snapshots
with newest as (
    select symbol, as_of, trailing_pe
    from core.fund_facts
    where as_of <= getvariable('session') and as_of > getvariable('session') - interval 31 days and trailing_pe > 0
    qualify row_number() over (partition by symbol order by as_of desc) = 1
)

select
    p.pair,
    p.headline,
    p.small_symbol,
    p.large_symbol,
    small.trailing_pe as small_trailing_pe,
    large.trailing_pe as large_trailing_pe,
    small.trailing_pe / large.trailing_pe as pe_ratio,
    small.as_of as small_as_of,
    large.as_of as large_as_of
from core.pairs as p
left join newest as small on small.symbol = p.small_symbol
left join newest as large on large.symbol = p.large_symbol
order by p.headline desc, p.pair
