-- core.context: whether the levels that describe the market are possible ones.

-- expectation: context_levels_possible
-- severity: info
-- column: close
-- sentence: A rate is not between -5 % and 25 % a year, a curve not between -10 and 10 percentage points, or a level of volatility, the dollar
--   or credit is not positive.
select symbol, session, measure, close
from core.context
where case measure
    when 'rate_10y' then not close between -5 and 25
    when 'rate_3m' then not close between -5 and 25
    when 'curve' then not close between -10 and 10
    when 'other' then false
    else not close > 0
end;

-- expectation: context_curve_is_the_difference
-- severity: critical
-- column: close
-- sentence: The curve is not the difference of the two rates.
select c.symbol, c.session, c.close, l.close as rate_10y, s.close as rate_3m
from (from core.context where measure = 'curve') as c
left join core.context as l on l.session = c.session and l.symbol = (select min(symbol) from core.context where measure = 'rate_10y')
left join core.context as s on s.session = c.session and s.symbol = (select min(symbol) from core.context where measure = 'rate_3m')
where not coalesce(abs(c.close - (l.close - s.close)) <= 1e-9, false);

-- expectation: context_windows_are_full
-- severity: critical
-- column: percentile_5y
-- sentence: A percentile is given before 1260 rows, is missing from then on, or is not between 0 and 100.
with numbered as (select *, row_number() over (partition by symbol order by session) as place from core.context)
select symbol, session, place, percentile_5y
from numbered
where (place >= 1260) <> (percentile_5y is not null) or not coalesce(percentile_5y between 0 and 100, true);
