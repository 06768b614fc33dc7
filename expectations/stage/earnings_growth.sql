-- stage.earnings_growth: the earnings estimates of one run, before they are added to raw.earnings_growth.

-- expectation: not_in_future
-- severity: warning
-- sentence: The estimates are dated after the day on which they were fetched.
select symbol, as_of as session, eps_next_year
from stage.earnings_growth
where as_of > (getvariable('known_at')::timestamptz at time zone 'UTC')::date;

-- expectation: growth_plausible
-- severity: warning
-- sentence: An estimated growth rate is below -2000 % or above 2000 %: the earnings it starts from are too close to
--   zero to mean anything.
select symbol, as_of as session, growth_current_year, growth_next_year
from stage.earnings_growth
where not growth_current_year between -20 and 20 or not growth_next_year between -20 and 20;

-- expectation: growth_is_a_fraction
-- severity: warning
-- sentence: A growth rate is about a hundred times, or a hundredth of, the growth that its earnings per share imply; or, without these, half of at
--   least ten companies would more than double their earnings. Probably it is given in percent.
with rates as (
    select symbol, as_of, growth_current_year as growth, eps_current_year / nullif(eps_year_ago, 0) - 1 as implied, eps_year_ago as base
    from stage.earnings_growth
    union all
    select symbol, as_of, growth_next_year, eps_next_year / nullif(eps_current_year, 0) - 1, eps_current_year
    from stage.earnings_growth
),
batch as (
    select as_of, median(abs(growth)) as usual from rates group by as_of having count(distinct symbol) filter (growth is not null) >= 10
)
select r.symbol, r.as_of as session, r.growth, r.implied, b.usual
from rates as r
left join batch as b using (as_of)
where (r.base > 0 and abs(r.implied) >= 0.005 and (r.growth / r.implied between 50 and 200 or r.growth / r.implied between 0.005 and 0.02))
    or (r.implied is null and r.growth is not null and b.usual > 1);

-- expectation: fiscal_years_follow_each_other
-- severity: warning
-- sentence: The next fiscal year does not end about a year after the one under way: between 350 and 380 days, or one of the two days is missing.
select symbol, as_of as session, period_end_current_year, period_end_next_year
from stage.earnings_growth
where coalesce(period_end_next_year - period_end_current_year, 0) not between 350 and 380
    and (period_end_current_year is not null or period_end_next_year is not null);

-- expectation: fiscal_year_near_snapshot
-- severity: warning
-- sentence: The fiscal year under way ended more than 200 days before the snapshot or ends more than 400 days after it.
select symbol, as_of as session, period_end_current_year
from stage.earnings_growth
where period_end_current_year - as_of not between -200 and 400;

-- expectation: counts_of_estimates_plausible
-- severity: warning
-- sentence: A number of analysts or of revised estimates is negative, not whole, or above 500.
select symbol, as_of as session, analysts, revisions_up_30d, revisions_down_30d
from stage.earnings_growth
where len(list_filter([analysts, revisions_up_30d, revisions_down_30d], lambda n: n < 0 or n > 500 or n <> floor(n))) > 0;

-- expectation: earnings_per_share_and_price_plausible
-- severity: warning
-- sentence: The price is not positive, or earnings per share are infinite, above the price or a loss above ten times the price.
select symbol, as_of as session, eps_year_ago, eps_current_year, eps_next_year, price
from stage.earnings_growth
where not (price > 0 and isfinite(price))
    or len(list_filter([eps_year_ago, eps_current_year, eps_next_year], lambda eps: not isfinite(eps) or eps not between -10 * price and price)) > 0;
