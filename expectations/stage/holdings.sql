-- stage.holdings: the holdings files of one run, before they are added to raw.holdings.

-- expectation: not_in_future
-- severity: warning
-- sentence: The file is dated after the day on which it was fetched; the whole file is set aside.
select fund_symbol as symbol, as_of as session, count(*) as rows
from stage.holdings
where as_of > (getvariable('known_at')::timestamptz at time zone 'UTC')::date
group by fund_symbol, as_of;

-- expectation: weights_add_up
-- severity: warning
-- sentence: The weights of the file do not add up to between 90 % and 110 %; the whole file is set aside.
select fund_symbol as symbol, as_of as session, sum(weight) as sum_of_weights, count(*) as rows
from stage.holdings
group by fund_symbol, as_of
having not coalesce(sum(weight), 0) between 0.9 and 1.1;

-- expectation: weight_plausible
-- severity: warning
-- sentence: A single holding weighs more than 50 % or less than -10 % of the fund; the whole file is set aside.
select fund_symbol as symbol, as_of as session, max(weight) as heaviest, min(weight) as lightest
from stage.holdings
group by fund_symbol, as_of
having max(weight) > 0.5 or min(weight) < -0.1;
