-- signals.constituent_breadth: how many of a fund's constituents are in an uptrend.

-- expectation: constituent_breadth_bounds
-- severity: critical
-- sentence: A share or a covered weight lies outside 0 to 100, or a longer window covers more weight than a shorter one.
select fund_symbol as symbol, session, priced_weight_pct, covered_weight_50d_pct, covered_weight_200d_pct, covered_weight_52w_pct,
    above_50d_pct, above_200d_pct, at_high_52w_pct, at_low_52w_pct
from signals.constituent_breadth
where not coalesce(priced_weight_pct between 0 and 100 + 1e-9, false)
    or not coalesce(covered_weight_50d_pct between 0 and priced_weight_pct, false)
    or not coalesce(covered_weight_200d_pct between 0 and covered_weight_50d_pct, false)
    or not coalesce(covered_weight_52w_pct between 0 and priced_weight_pct, false)
    or not above_50d_pct between 0 and 100
    or not above_200d_pct between 0 and 100
    or not at_high_52w_pct between 0 and 100
    or not at_low_52w_pct between 0 and 100;

-- expectation: constituent_breadth_known
-- severity: critical
-- sentence: A share is given although the constituents that it counts hold under 80 % of the fund, or is missing although they hold 80 % or more.
select fund_symbol as symbol, session, covered_weight_50d_pct, covered_weight_200d_pct, covered_weight_52w_pct,
    above_50d_pct, above_200d_pct, at_high_52w_pct, at_low_52w_pct
from signals.constituent_breadth
where (above_50d_pct is not null) <> (covered_weight_50d_pct >= 80)
    or (above_200d_pct is not null) <> (covered_weight_200d_pct >= 80)
    or (at_high_52w_pct is not null) <> (covered_weight_52w_pct >= 80)
    or (at_low_52w_pct is not null) <> (covered_weight_52w_pct >= 80);

-- expectation: constituent_breadth_every_session
-- severity: critical
-- sentence: A session since the fund's first holdings file has no row, or a row does not name the newest file of its session.
with files as (
    select fund_symbol, as_of from core.holdings where weight > 0 group by fund_symbol, as_of
),
expected as (
    select f.fund_symbol, s.session, max(f.as_of) as holdings_as_of
    from core.sessions as s
    join files as f on f.as_of <= s.session
    where s.session <= (select max(session) from core.prices)
    group by f.fund_symbol, s.session
)
select coalesce(e.fund_symbol, c.fund_symbol) as symbol, coalesce(e.session, c.session) as session, e.holdings_as_of as last_file, c.holdings_as_of
from expected as e
full join signals.constituent_breadth as c on c.fund_symbol = e.fund_symbol and c.session = e.session
where e.holdings_as_of is distinct from c.holdings_as_of;

-- expectation: every_number_finite
-- severity: critical
-- sentence: A number of the table is infinite or not a number.
select fund_symbol as symbol, session from signals.constituent_breadth
where not (
    isfinite(priced_weight_pct) and isfinite(covered_weight_50d_pct) and isfinite(covered_weight_200d_pct)
    and isfinite(covered_weight_52w_pct) and isfinite(above_50d_pct) and isfinite(above_200d_pct)
    and isfinite(at_high_52w_pct) and isfinite(at_low_52w_pct)
);
