-- stage.holdings: the holdings files of this run that are not known yet.
-- grain: fund_symbol, as_of, symbol, name
-- sources: stage.fetched_holdings, raw.holdings
-- null: symbol of what has no ticker, such as cash
select f.* replace (f.as_of::date as as_of)
from stage.fetched_holdings as f
anti join raw.holdings as k on k.fund_symbol = f.fund_symbol and k.as_of = f.as_of::date
order by f.fund_symbol, f.as_of, f.weight desc
