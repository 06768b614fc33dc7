-- signals.relative_strength: the followed pairs of a small and a large symbol.

-- expectation: relative_strength_every_common_session
-- severity: critical
-- sentence: A pair lacks a session on which both legs have a price and known distributions, or has an extra session.
with known as (from core.prices where total_return_index is not null),
large_legs as (select p.symbol, p.session from known as p semi join core.pairs as q on q.large_symbol = p.symbol),
common as (
    select q.pair, p.session
    from known as p
    join core.pairs as q on q.small_symbol = p.symbol
    semi join large_legs as l on l.symbol = q.large_symbol and l.session = p.session
)
select coalesce(c.pair, r.pair) as symbol, coalesce(c.session, r.session) as session, r.session is null as is_missing
from common as c
full join signals.relative_strength as r on r.pair = c.pair and r.session = c.session
where c.session is null or r.session is null;

-- expectation: relative_strength_full_windows
-- severity: critical
-- sentence: A spread is NULL although both legs have a price at both ends of the window, or known although one is
--   missing.
with bases as (
    select
        session,
        lag(session, 5) over w as base_1w,
        lag(session, 21) over w as base_1m,
        lag(session, 63) over w as base_3m,
        lag(session, 126) over w as base_6m,
        lag(session, 252) over w as base_12m,
        previous_year_end as base_ytd,
        previous_quarter_end as base_qtd
    from core.sessions
    window w as (order by session)
)
select r.pair as symbol, r.session, r.spread_1w, r.spread_1m, r.spread_3m, r.spread_6m, r.spread_12m, r.spread_ytd, r.spread_qtd
from signals.relative_strength as r
join bases as b on b.session = r.session
left join signals.relative_strength as r_1w on r_1w.pair = r.pair and r_1w.session = b.base_1w
left join signals.relative_strength as r_1m on r_1m.pair = r.pair and r_1m.session = b.base_1m
left join signals.relative_strength as r_3m on r_3m.pair = r.pair and r_3m.session = b.base_3m
left join signals.relative_strength as r_6m on r_6m.pair = r.pair and r_6m.session = b.base_6m
left join signals.relative_strength as r_12m on r_12m.pair = r.pair and r_12m.session = b.base_12m
left join signals.relative_strength as r_ytd on r_ytd.pair = r.pair and r_ytd.session = b.base_ytd
left join signals.relative_strength as r_qtd on r_qtd.pair = r.pair and r_qtd.session = b.base_qtd
where (r.spread_1w is null) <> (r_1w.session is null)
    or (r.spread_1m is null) <> (r_1m.session is null)
    or (r.spread_3m is null) <> (r_3m.session is null)
    or (r.spread_6m is null) <> (r_6m.session is null)
    or (r.spread_12m is null) <> (r_12m.session is null)
    or (r.spread_ytd is null) <> (r_ytd.session is null)
    or (r.spread_qtd is null) <> (r_qtd.session is null);

-- expectation: relative_strength_full_averages
-- severity: critical
-- sentence: A ratio does not start at 100, its averages do not start at the 50th and 200th row, or its z-score does
--   not start at the 252nd.
with numbered as (
    select pair, session, ratio, ratio_ma50, ratio_ma200, ratio_z252, row_number() over (partition by pair order by session) as row_number
    from signals.relative_strength
)
select pair as symbol, session, row_number, ratio, ratio_ma50, ratio_ma200, ratio_z252
from numbered
where ratio is null or (row_number = 1 and abs(ratio - 100) > 1e-9)
    or (ratio_ma50 is null) <> (row_number < 50)
    or (ratio_ma200 is null) <> (row_number < 200)
    or (ratio_z252 is not null and row_number < 252)
    /* In a flat window there is no z-score; there the ratio is its own average. */
    or (ratio_z252 is null and row_number >= 252 and abs(ratio - ratio_ma200) > 1e-10 * ratio_ma200);

-- expectation: relative_strength_since_low
-- severity: critical
-- sentence: The low is not among the large leg's last 252 sessions, or the low or a return since then is missing
--   although the prices are known.
with large_legs as (
    select p.symbol, p.session, lag(p.session, 251) over (partition by p.symbol order by p.session) as first_of_252
    from (from core.prices where total_return_index is not null) as p
    semi join core.pairs as q on q.large_symbol = p.symbol
)
select r.pair as symbol, r.session, l.first_of_252, r.low_session, r.small_return_since_low, r.large_return_since_low, r.spread_since_low
from signals.relative_strength as r
join large_legs as l on l.symbol = r.large_symbol and l.session = r.session
left join signals.relative_strength as low on low.pair = r.pair and low.session = r.low_session
where (r.low_session is null) <> (l.first_of_252 is null)
    or not r.low_session between l.first_of_252 and r.session
    or (r.large_return_since_low is null) <> (r.low_session is null)
    or r.large_return_since_low < 0
    or (r.small_return_since_low is null) <> (low.session is null)
    or (r.spread_since_low is null) <> (low.session is null);

-- expectation: relative_strength_spreads_add_up
-- severity: critical
-- sentence: A spread is not the return of the small leg minus the return of the large leg.
select pair as symbol, session, spread_ytd, spread_qtd, spread_since_low
from signals.relative_strength
where (spread_ytd is null) <> (small_return_ytd - large_return_ytd is null)
    or abs(spread_ytd - (small_return_ytd - large_return_ytd)) > 1e-12
    or (spread_qtd is null) <> (small_return_qtd - large_return_qtd is null)
    or abs(spread_qtd - (small_return_qtd - large_return_qtd)) > 1e-12
    or (spread_since_low is null) <> (small_return_since_low - large_return_since_low is null)
    or abs(spread_since_low - (small_return_since_low - large_return_since_low)) > 1e-12;

-- expectation: every_number_finite
-- severity: critical
-- sentence: A number of the table is infinite or not a number.
select pair as symbol, session from signals.relative_strength
where not (
    isfinite(ratio) and isfinite(spread_1w) and isfinite(spread_1m) and isfinite(spread_3m)
    and isfinite(spread_6m) and isfinite(spread_12m) and isfinite(spread_ytd) and isfinite(spread_qtd)
    and isfinite(spread_since_low) and isfinite(small_return_ytd) and isfinite(small_return_qtd)
    and isfinite(small_return_since_low) and isfinite(large_return_ytd) and isfinite(large_return_qtd)
    and isfinite(large_return_since_low) and isfinite(ratio_ma50) and isfinite(ratio_ma200)
    and isfinite(ratio_z252) and isfinite(percentile_all) and isfinite(ratio_percentile_5y)
);
