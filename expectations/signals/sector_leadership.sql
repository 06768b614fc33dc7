-- signals.sector_leadership: returns and ranks of the sectors.

-- expectation: sector_leadership_every_price
-- severity: critical
-- sentence: A sector fund lacks a session on which it has a price, or has a session without a price.
with priced as (
    select p.symbol, p.session
    from core.prices as p
    semi join (from core.instruments where kind = 'sector') as i on i.symbol = p.symbol
)
select coalesce(p.symbol, r.symbol) as symbol, coalesce(p.session, r.session) as session, r.session is null as is_missing
from priced as p
full join signals.sector_leadership as r on r.symbol = p.symbol and r.session = p.session
where p.session is null or r.session is null;

-- expectation: sector_ranks
-- severity: critical
-- sentence: A sector's rank is not one more than the number of sectors with a higher return, or there is a rank
--   without a return.
with sorted as (
    select
        session,
        list_reverse_sort(list(return_1m) filter (return_1m is not null)) as returns_1m,
        list_reverse_sort(list(return_3m) filter (return_3m is not null)) as returns_3m,
        list_reverse_sort(list(return_6m) filter (return_6m is not null)) as returns_6m,
        list_reverse_sort(list(return_12m) filter (return_12m is not null)) as returns_12m,
        list_reverse_sort(list(return_ytd) filter (return_ytd is not null)) as returns_ytd
    from signals.sector_leadership
    group by session
)
select r.symbol, r.session, r.rank_1m, r.rank_3m, r.rank_6m, r.rank_12m, r.rank_ytd
from signals.sector_leadership as r
join sorted as s on s.session = r.session
where r.rank_1m is distinct from list_position(s.returns_1m, r.return_1m)
    or r.rank_3m is distinct from list_position(s.returns_3m, r.return_3m)
    or r.rank_6m is distinct from list_position(s.returns_6m, r.return_6m)
    or r.rank_12m is distinct from list_position(s.returns_12m, r.return_12m)
    or r.rank_ytd is distinct from list_position(s.returns_ytd, r.return_ytd);

-- expectation: sector_leadership_full_windows
-- severity: critical
-- sentence: A sector's return is NULL although the fund has a price at both ends of the window, or known although one
--   is missing.
with bases as (
    select
        session,
        lag(session, 21) over w as base_1m,
        lag(session, 63) over w as base_3m,
        lag(session, 126) over w as base_6m,
        lag(session, 252) over w as base_12m,
        previous_year_end as base_ytd
    from core.sessions
    window w as (order by session)
)
select r.symbol, r.session, r.return_1m, r.return_3m, r.return_6m, r.return_12m, r.return_ytd
from signals.sector_leadership as r
join bases as b on b.session = r.session
left join signals.sector_leadership as r_1m on r_1m.symbol = r.symbol and r_1m.session = b.base_1m
left join signals.sector_leadership as r_3m on r_3m.symbol = r.symbol and r_3m.session = b.base_3m
left join signals.sector_leadership as r_6m on r_6m.symbol = r.symbol and r_6m.session = b.base_6m
left join signals.sector_leadership as r_12m on r_12m.symbol = r.symbol and r_12m.session = b.base_12m
left join signals.sector_leadership as r_ytd on r_ytd.symbol = r.symbol and r_ytd.session = b.base_ytd
where (r.return_1m is null) <> (r_1m.session is null)
    or (r.return_3m is null) <> (r_3m.session is null)
    or (r.return_6m is null) <> (r_6m.session is null)
    or (r.return_12m is null) <> (r_12m.session is null)
    or (r.return_ytd is null) <> (r_ytd.session is null);

-- expectation: every_number_finite
-- severity: critical
-- sentence: A number of the table is infinite or not a number.
select symbol, session from signals.sector_leadership
where not (
    isfinite(return_1m) and isfinite(return_3m) and isfinite(return_6m) and isfinite(return_12m)
    and isfinite(return_ytd) and isfinite(excess_1m) and isfinite(excess_3m) and isfinite(excess_6m)
    and isfinite(excess_12m) and isfinite(excess_ytd)
);
