-- stage.earnings_growth: the earnings estimates of one run, before they are added to raw.earnings_growth.

-- expectation: growth_plausible
-- severity: warning
-- sentence: An estimated growth rate is below -2000 % or above 2000 %: the earnings it starts from are too close to
--   zero to mean anything.
select symbol, as_of as session, growth_current_year, growth_next_year
from stage.earnings_growth
where not growth_current_year between -20 and 20 or not growth_next_year between -20 and 20;
