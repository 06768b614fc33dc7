-- stage.earnings_growth: the snapshots of this run that are not known yet.
-- grain: symbol, as_of
-- sources: stage.fetched_earnings_growth, raw.earnings_growth
-- null: what the vendor does not say
select f.* replace (f.as_of::date as as_of)
from stage.fetched_earnings_growth as f
anti join raw.earnings_growth as k on k.symbol = f.symbol and k.as_of = f.as_of::date
order by f.symbol, f.as_of
