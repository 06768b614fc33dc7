-- stage.fund_facts: the snapshots of this run that are not known yet.
-- grain: symbol, as_of
-- sources: stage.fetched_fund_facts, raw.fund_facts
-- null: what the vendor does not say
select f.* replace (f.as_of::date as as_of)
from stage.fetched_fund_facts as f
anti join raw.fund_facts as k on k.symbol = f.symbol and k.as_of = f.as_of::date
order by f.symbol, f.as_of
