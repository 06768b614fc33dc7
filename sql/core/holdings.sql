-- core.holdings: the funds' holdings, heaviest first.
-- grain: fund_symbol, as_of, rank
-- sources: fn.holdings_known_at
-- lookback: none
-- null: symbol of holdings without a ticker, such as cash
-- columns:
--   fund_symbol: ticker of the fund
--   as_of: date of the issuer's file
--   rank: 1 = heaviest
--   symbol: ticker of the constituent
--   name: name of the constituent
--   weight: fraction of the fund
--   source: issuer or vendor that published it
--   known_at: when this version was fetched
select
    fund_symbol,
    as_of,
    row_number() over (partition by fund_symbol, as_of order by weight desc, symbol, name) as rank,
    symbol,
    name,
    weight,
    source,
    known_at
from fn.holdings_known_at('infinity'::timestamptz)
order by fund_symbol, as_of, rank
