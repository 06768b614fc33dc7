-- core.fund_facts: facts about each fund, by day of the request.
-- grain: symbol, as_of
-- sources: fn.fund_facts_known_at, fn.holdings_known_at, core.instruments
-- lookback: all; holdings_count reaches back to the last holdings file
-- null: values that no vendor publishes; holdings_count of a fund without a holdings file on or before as_of
-- columns:
--   symbol: ticker
--   as_of: day of the snapshot
--   expense_ratio: fraction of assets a year (0.0003 = 0.03 %)
--   holdings_count: constituents with a ticker in the last holdings file on or before as_of
--   total_net_assets_usd: USD
--   nav: USD per share
--   category: the vendor's category
--   index_name: index the fund follows, from the vendor, else from the universe
--   trailing_pe: price over earnings of the fund's holdings
--   source: vendor that published it
--   known_at: when this version was fetched
with counted as (
    select fund_symbol, as_of, count(symbol) as holdings_count
    from fn.holdings_known_at('infinity'::timestamptz)
    group by fund_symbol, as_of
)

select
    f.symbol,
    f.as_of,
    f.expense_ratio,
    h.holdings_count,
    f.total_net_assets_usd,
    f.nav,
    f.category,
    coalesce(f.index_name, i.index_name) as index_name,
    f.trailing_pe,
    f.source,
    f.known_at
from fn.fund_facts_known_at('infinity'::timestamptz) as f
join core.instruments as i on i.symbol = f.symbol
asof left join counted as h on h.fund_symbol = f.symbol and h.as_of <= f.as_of
order by f.symbol, f.as_of
