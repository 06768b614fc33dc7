-- signals.mega_cap: the Magnificent Seven and technology against the rest.

-- expectation: mega_cap_mag7_known
-- severity: critical
-- sentence: A return of the Magnificent Seven is NULL although all members have a price at both ends, or known
--   although one lacks it.
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
),
first_prices as (
    select p.symbol, min(p.session) as first_session
    from core.prices as p
    semi join (from core.instruments where kind = 'stock' and peer_group = 'mag7') as i on i.symbol = p.symbol
    group by p.symbol
),
started as (
    select s.session, count(*) as members
    from core.sessions as s
    join first_prices as f on f.first_session <= s.session
    group by s.session
),
complete as (select m.session from signals.mega_cap as m join started as s on s.session = m.session and s.members = m.mag7_members)
select 'signals' as symbol, m.session, m.mag7_members, s.members, m.mag7_return_1m, m.mag7_return_3m, m.mag7_return_6m,
    m.mag7_return_12m, m.mag7_return_ytd
from signals.mega_cap as m
join bases as b on b.session = m.session
left join started as s on s.session = m.session
left join complete as c on c.session = m.session
left join complete as c_1m on c_1m.session = b.base_1m
left join complete as c_3m on c_3m.session = b.base_3m
left join complete as c_6m on c_6m.session = b.base_6m
left join complete as c_12m on c_12m.session = b.base_12m
left join complete as c_ytd on c_ytd.session = b.base_ytd
where not coalesce(m.mag7_members between 0 and coalesce(s.members, 0), false)
    or (m.mag7_return_1m is null) <> (c.session is null or c_1m.session is null)
    or (m.mag7_return_3m is null) <> (c.session is null or c_3m.session is null)
    or (m.mag7_return_6m is null) <> (c.session is null or c_6m.session is null)
    or (m.mag7_return_12m is null) <> (c.session is null or c_12m.session is null)
    or (m.mag7_return_ytd is null) <> (c.session is null or c_ytd.session is null);

-- expectation: mega_cap_rest_known
-- severity: critical
-- sentence: A return of the average large company is not that of the equal-weight fund.
with equal_weight as (
    from core.returns where symbol = (select min(symbol) from core.instruments where peer_group = 'equal_weight')
)
select 'signals' as symbol, m.session, m.rest_return_1m, m.rest_return_3m, m.rest_return_6m, m.rest_return_12m, m.rest_return_ytd
from signals.mega_cap as m
left join equal_weight as e on e.session = m.session
where (m.rest_return_1m, m.rest_return_3m, m.rest_return_6m, m.rest_return_12m, m.rest_return_ytd)
    is distinct from (e.return_1m, e.return_3m, e.return_6m, e.return_12m, e.return_ytd);

-- expectation: mega_cap_sectors_known
-- severity: critical
-- sentence: A return of technology, or the mean of the other sectors, differs from that in signals.sector_leadership.
with sectors as (
    select
        session,
        max(return_1m) filter (sector = 'technology') as tech_1m, avg(return_1m) filter (sector <> 'technology') as others_1m,
        max(return_3m) filter (sector = 'technology') as tech_3m, avg(return_3m) filter (sector <> 'technology') as others_3m,
        max(return_6m) filter (sector = 'technology') as tech_6m, avg(return_6m) filter (sector <> 'technology') as others_6m,
        max(return_12m) filter (sector = 'technology') as tech_12m, avg(return_12m) filter (sector <> 'technology') as others_12m,
        max(return_ytd) filter (sector = 'technology') as tech_ytd, avg(return_ytd) filter (sector <> 'technology') as others_ytd,
        count(return_3m) filter (sector <> 'technology') as others
    from signals.sector_leadership
    group by session
)
select 'signals' as symbol, m.session, m.tech_return_3m, s.tech_3m, m.ex_tech_return_3m, s.others_3m, m.ex_tech_sectors, s.others
from signals.mega_cap as m
left join sectors as s on s.session = m.session
where (m.tech_return_1m, m.tech_return_3m, m.tech_return_6m, m.tech_return_12m, m.tech_return_ytd)
    is distinct from (s.tech_1m, s.tech_3m, s.tech_6m, s.tech_12m, s.tech_ytd)
    or m.ex_tech_sectors is distinct from coalesce(s.others, 0)
    or (m.ex_tech_return_1m is null) <> (s.others_1m is null) or abs(m.ex_tech_return_1m - s.others_1m) > 1e-12
    or (m.ex_tech_return_3m is null) <> (s.others_3m is null) or abs(m.ex_tech_return_3m - s.others_3m) > 1e-12
    or (m.ex_tech_return_6m is null) <> (s.others_6m is null) or abs(m.ex_tech_return_6m - s.others_6m) > 1e-12
    or (m.ex_tech_return_12m is null) <> (s.others_12m is null) or abs(m.ex_tech_return_12m - s.others_12m) > 1e-12
    or (m.ex_tech_return_ytd is null) <> (s.others_ytd is null) or abs(m.ex_tech_return_ytd - s.others_ytd) > 1e-12;

-- expectation: mega_cap_differences_add_up
-- severity: critical
-- sentence: A difference is not the first return minus the second.
select 'signals' as symbol, session, mag7_minus_rest_1m, mag7_minus_rest_3m, mag7_minus_rest_6m, mag7_minus_rest_12m, mag7_minus_rest_ytd,
    tech_minus_ex_tech_1m, tech_minus_ex_tech_3m, tech_minus_ex_tech_6m, tech_minus_ex_tech_12m, tech_minus_ex_tech_ytd
from signals.mega_cap
where (mag7_minus_rest_1m, mag7_minus_rest_3m, mag7_minus_rest_6m, mag7_minus_rest_12m, mag7_minus_rest_ytd)
    is distinct from (mag7_return_1m - rest_return_1m, mag7_return_3m - rest_return_3m, mag7_return_6m - rest_return_6m,
        mag7_return_12m - rest_return_12m, mag7_return_ytd - rest_return_ytd)
    or (tech_minus_ex_tech_1m, tech_minus_ex_tech_3m, tech_minus_ex_tech_6m, tech_minus_ex_tech_12m, tech_minus_ex_tech_ytd)
    is distinct from (tech_return_1m - ex_tech_return_1m, tech_return_3m - ex_tech_return_3m, tech_return_6m - ex_tech_return_6m,
        tech_return_12m - ex_tech_return_12m, tech_return_ytd - ex_tech_return_ytd);

-- expectation: every_number_finite
-- severity: critical
-- sentence: A number of the table is infinite or not a number.
select 'signals' as symbol, session from signals.mega_cap
where not (
    isfinite(mag7_return_1m) and isfinite(mag7_return_3m) and isfinite(mag7_return_6m)
    and isfinite(mag7_return_12m) and isfinite(mag7_return_ytd) and isfinite(rest_return_1m)
    and isfinite(rest_return_3m) and isfinite(rest_return_6m) and isfinite(rest_return_12m)
    and isfinite(rest_return_ytd) and isfinite(tech_return_1m) and isfinite(tech_return_3m)
    and isfinite(tech_return_6m) and isfinite(tech_return_12m) and isfinite(tech_return_ytd)
    and isfinite(ex_tech_return_1m) and isfinite(ex_tech_return_3m) and isfinite(ex_tech_return_6m)
    and isfinite(ex_tech_return_12m) and isfinite(ex_tech_return_ytd) and isfinite(mag7_minus_rest_1m)
    and isfinite(mag7_minus_rest_3m) and isfinite(mag7_minus_rest_6m) and isfinite(mag7_minus_rest_12m)
    and isfinite(mag7_minus_rest_ytd) and isfinite(tech_minus_ex_tech_1m) and isfinite(tech_minus_ex_tech_3m)
    and isfinite(tech_minus_ex_tech_6m) and isfinite(tech_minus_ex_tech_12m) and isfinite(tech_minus_ex_tech_ytd)
);
