-- core.flow_members: which funds are summed in which flow group, and since when, so that a fund added later changes no earlier sum.
-- grain: flow_group, symbol, from_day
-- sources: raw.universe, raw.sessions, core.instruments, fn.flow_group_of
-- lookback: all; every version of the universe
-- null: until_day of a fund that is a member now; inception of a fund that the universe no longer lists
-- formula: a version of the universe counts from the first day of the month of the session whose run read it; the first version since ever.
--   Of the versions of one month the last counts
-- columns:
--   flow_group: funds whose flows are summed
--   symbol: ticker
--   from_day: first day of the first month in which the fund is a member; 1900-01-01 = since ever
--   until_day: first day of the month from which on it is not
--   inception: first session with a price
with run_sessions as (
    select v.known_at, date_trunc('month', max(s.session))::date as month
    from (select distinct known_at from raw.universe) as v
    left join raw.sessions as s on s.known_at <= v.known_at and s.is_session
    group by v.known_at
),

in_force as (
    select known_at, case when known_at = min(known_at) over () then date '1900-01-01' else month end as from_day
    from run_sessions
),

last_of_month as (
    select max(known_at) as known_at, from_day from in_force group by from_day
),

versions as (
    select
        known_at,
        from_day,
        lead(from_day) over (order by known_at) as until_day,
        row_number() over (order by known_at) as version
    from last_of_month
),

listed as (
    select
        fn.flow_group_of(u.flow_group, u.in_breadth, u.peer_group) as flow_group,
        u.symbol,
        n.from_day,
        n.until_day,
        -- Versions in a row that list a member differ from its own count of them by the same number.
        n.version - row_number() over (
            partition by fn.flow_group_of(u.flow_group, u.in_breadth, u.peer_group), u.symbol order by n.version
        ) as stretch
    from raw.universe as u
    join versions as n using (known_at)
    where u.is_withdrawn is not true and fn.flow_group_of(u.flow_group, u.in_breadth, u.peer_group) is not null
)

select
    m.flow_group,
    m.symbol,
    min(m.from_day) as from_day,
    case when count(*) = count(m.until_day) then max(m.until_day) end as until_day,
    any_value(i.inception) as inception
from listed as m
left join core.instruments as i using (symbol)
group by m.flow_group, m.symbol, m.stretch
order by m.flow_group, m.symbol, from_day
