-- stage.fund_facts: the snapshots of funds of one run, before they are added to raw.fund_facts.

-- expectation: expense_ratio_is_a_fraction
-- severity: warning
-- sentence: The expense ratio is negative or above 10 %: probably a percentage was taken for a fraction.
select symbol, as_of as session, expense_ratio
from stage.fund_facts
where not expense_ratio between 0 and 0.1;

-- expectation: assets_positive
-- severity: warning
-- sentence: Assets or NAV are zero, negative or not finite.
select symbol, as_of as session, total_net_assets_usd, nav
from stage.fund_facts
where least(total_net_assets_usd, nav) <= 0 or not isfinite(total_net_assets_usd) or not isfinite(nav);

-- expectation: pe_plausible
-- severity: warning
-- sentence: The price/earnings ratio is below 1 or above 1000: probably the vendor gave earnings/price.
select symbol, as_of as session, trailing_pe
from stage.fund_facts
where not trailing_pe between 1 and 1000;
