-- signals.mega_cap: the Magnificent Seven and technology against the rest, one row per session since the first with prices.
-- grain: session
-- rows: every session since the first price
-- sources: core.sessions, core.instruments, core.prices, core.returns
-- lookback: all; the basket accumulates from its first session
-- null: missing_symbols where none is missing; any return whose window is not full; mag7_* on a session on which a member that has started has no price, and where the base session is
--   such a one; a difference where either side is. A member counts from its second price on, a sector as soon as its own window is full
-- formula: basket = equal weight, rebalanced on every session on which all its members have a price: index x mean of the members' total
--   return since the last such session; rest = the equal-weight fund (peer group equal_weight, RSP); tech = the sector fund of
--   technology (XLK); ex_tech = mean of the other sector funds' returns; the members are the stocks of the peer group mag7
-- columns:
--   session: XNYS trading date
--   mag7_return_1m: fraction over 21 sessions
--   mag7_return_3m: fraction over 63 sessions
--   mag7_return_6m: fraction over 126 sessions
--   mag7_return_12m: fraction over 252 sessions
--   mag7_return_ytd: fraction since the last session of the previous year
--   rest_return_1m: fraction over 21 sessions
--   rest_return_3m: fraction over 63 sessions
--   rest_return_6m: fraction over 126 sessions
--   rest_return_12m: fraction over 252 sessions
--   rest_return_ytd: fraction since the last session of the previous year
--   tech_return_1m: fraction over 21 sessions
--   tech_return_3m: fraction over 63 sessions
--   tech_return_6m: fraction over 126 sessions
--   tech_return_12m: fraction over 252 sessions
--   tech_return_ytd: fraction since the last session of the previous year
--   ex_tech_return_1m: fraction over 21 sessions
--   ex_tech_return_3m: fraction over 63 sessions
--   ex_tech_return_6m: fraction over 126 sessions
--   ex_tech_return_12m: fraction over 252 sessions
--   ex_tech_return_ytd: fraction since the last session of the previous year
--   mag7_minus_rest_1m: fraction
--   mag7_minus_rest_3m: fraction
--   mag7_minus_rest_6m: fraction
--   mag7_minus_rest_12m: fraction
--   mag7_minus_rest_ytd: fraction
--   tech_minus_ex_tech_1m: fraction
--   tech_minus_ex_tech_3m: fraction
--   tech_minus_ex_tech_6m: fraction
--   tech_minus_ex_tech_12m: fraction
--   tech_minus_ex_tech_ytd: fraction
--   mag7_members: members with a price that session
--   ex_tech_sectors: other sectors whose 3m return is known
--   missing_symbols: of the members, the equal-weight fund and the sector funds, those that have started and have no price that session, in
--     order, separated by commas
with followed as (
    select session, session_number, previous_year_end
    from core.sessions
    where session >= (select min(session) from core.prices)
),

member_prices as (
    select p.symbol, f.session_number, p.total_return_index as tri
    from core.prices as p
    join followed as f using (session)
    semi join (from core.instruments where kind = 'stock' and peer_group = 'mag7') as m on m.symbol = p.symbol
),

first_prices as (
    select symbol, min(session_number) as first_number
    from member_prices
    group by symbol
),

priced as (
    select session_number, count(*) as members
    from member_prices
    group by session_number
),

complete_sessions as (
    select p.session_number
    from priced as p
    join first_prices as f on f.first_number <= p.session_number
    group by p.session_number, p.members
    having p.members = count(*)
),

steps as (
    select m.symbol, m.session_number, m.tri / lag(m.tri) over (partition by m.symbol order by m.session_number) as step
    from member_prices as m
    semi join complete_sessions as c on c.session_number = m.session_number
),

basket as (
    select session_number, product(coalesce(avg(step order by symbol), 1)) over (order by session_number rows unbounded preceding) as basket_index
    from steps
    group by session_number
),

based as (
    select
        f.session,
        b.basket_index,
        first(b.basket_index) over (w range between 21 preceding and 21 preceding) as index_1m,
        first(b.basket_index) over (w range between 63 preceding and 63 preceding) as index_3m,
        first(b.basket_index) over (w range between 126 preceding and 126 preceding) as index_6m,
        first(b.basket_index) over (w range between 252 preceding and 252 preceding) as index_12m,
        f.previous_year_end,
        coalesce(p.members, 0) as mag7_members
    from followed as f
    left join basket as b using (session_number)
    left join priced as p using (session_number)
    window w as (order by f.session_number)
),

mag7 as (
    select
        b.session,
        b.basket_index / b.index_1m - 1 as return_1m,
        b.basket_index / b.index_3m - 1 as return_3m,
        b.basket_index / b.index_6m - 1 as return_6m,
        b.basket_index / b.index_12m - 1 as return_12m,
        b.basket_index / y.basket_index - 1 as return_ytd,
        b.mag7_members
    from based as b
    left join based as y on y.session = b.previous_year_end
),

rest as (
    from core.returns
    where symbol = (select min(symbol) from core.instruments where peer_group = 'equal_weight')
),

tech as (
    from core.returns
    where symbol = (select min(symbol) from core.instruments where kind = 'sector' and sector = 'technology')
),

ex_tech as (
    select
        r.session,
        avg(r.return_1m order by r.symbol) as return_1m,
        avg(r.return_3m order by r.symbol) as return_3m,
        avg(r.return_6m order by r.symbol) as return_6m,
        avg(r.return_12m order by r.symbol) as return_12m,
        avg(r.return_ytd order by r.symbol) as return_ytd,
        count(r.return_3m) as sectors
    from core.returns as r
    semi join (from core.instruments where kind = 'sector' and sector <> 'technology') as i on i.symbol = r.symbol
    group by r.session
),

starts as (
    select p.symbol, min(p.session) as first_session
    from core.prices as p
    semi join (
        from core.instruments where kind = 'sector' or peer_group = 'equal_weight' or (kind = 'stock' and peer_group = 'mag7')
    ) as i on i.symbol = p.symbol
    group by p.symbol
),

lacking as (
    select f.session, string_agg(s.symbol, ', ' order by s.symbol) as missing_symbols
    from followed as f
    join starts as s on s.first_session <= f.session
    anti join core.prices as p on p.symbol = s.symbol and p.session = f.session
    group by f.session
)

select
    m.session,
    m.return_1m as mag7_return_1m,
    m.return_3m as mag7_return_3m,
    m.return_6m as mag7_return_6m,
    m.return_12m as mag7_return_12m,
    m.return_ytd as mag7_return_ytd,
    r.return_1m as rest_return_1m,
    r.return_3m as rest_return_3m,
    r.return_6m as rest_return_6m,
    r.return_12m as rest_return_12m,
    r.return_ytd as rest_return_ytd,
    t.return_1m as tech_return_1m,
    t.return_3m as tech_return_3m,
    t.return_6m as tech_return_6m,
    t.return_12m as tech_return_12m,
    t.return_ytd as tech_return_ytd,
    x.return_1m as ex_tech_return_1m,
    x.return_3m as ex_tech_return_3m,
    x.return_6m as ex_tech_return_6m,
    x.return_12m as ex_tech_return_12m,
    x.return_ytd as ex_tech_return_ytd,
    m.return_1m - r.return_1m as mag7_minus_rest_1m,
    m.return_3m - r.return_3m as mag7_minus_rest_3m,
    m.return_6m - r.return_6m as mag7_minus_rest_6m,
    m.return_12m - r.return_12m as mag7_minus_rest_12m,
    m.return_ytd - r.return_ytd as mag7_minus_rest_ytd,
    t.return_1m - x.return_1m as tech_minus_ex_tech_1m,
    t.return_3m - x.return_3m as tech_minus_ex_tech_3m,
    t.return_6m - x.return_6m as tech_minus_ex_tech_6m,
    t.return_12m - x.return_12m as tech_minus_ex_tech_12m,
    t.return_ytd - x.return_ytd as tech_minus_ex_tech_ytd,
    m.mag7_members,
    coalesce(x.sectors, 0) as ex_tech_sectors,
    l.missing_symbols
from mag7 as m
left join rest as r using (session)
left join tech as t using (session)
left join ex_tech as x using (session)
left join lacking as l using (session)
order by m.session
