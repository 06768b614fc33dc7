-- core.flow_members: which funds are summed in which flow group, and since when, so that a fund added later changes no earlier sum.
-- grain: flow_group, symbol, from_session
-- sources: raw.universe, raw.sessions, fn.flow_group_of
-- lookback: all; every version of the universe
-- null: from_session of a member of the first version, which counts for all periods; until_session of a fund that is still a member
-- formula: a version of the universe applies from the session of the run that first read it; of versions of one session the last applies
-- columns:
--   flow_group: funds whose flows are summed
--   symbol: ticker
--   from_session: session from which on the fund is a member
--   until_session: session from which on it no longer is
--   inception: first session with a price, in the last version that lists the fund
with run_sessions as (
    select v.known_at, max(s.session) as session
    from (select distinct known_at from raw.universe) as v
    left join raw.sessions as s on s.known_at <= v.known_at and s.is_session
    group by v.known_at
),

in_force as (
    select known_at, case when known_at > min(known_at) over () then session end as from_session
    from run_sessions
    qualify known_at = max(known_at) over (partition by session) or known_at = min(known_at) over ()
),

versions as (
    select
        known_at,
        from_session,
        lead(from_session) over (order by known_at) as until_session,
        row_number() over (order by known_at) as version
    from in_force
),

listed as (
    select
        fn.flow_group_of(u.flow_group, u.in_breadth, u.peer_group) as flow_group,
        u.symbol,
        u.inception,
        n.version,
        n.from_session,
        n.until_session
    from raw.universe as u
    join versions as n using (known_at)
    where u.is_withdrawn is not true and fn.flow_group_of(u.flow_group, u.in_breadth, u.peer_group) is not null
),

-- Consecutive versions that list a member differ from its own count of them by the same number.
stretches as (
    select *, version - row_number() over (partition by flow_group, symbol order by version) as stretch
    from listed
)

select
    flow_group,
    symbol,
    arg_min_null(from_session, version) as from_session,
    arg_max_null(until_session, version) as until_session,
    arg_max_null(inception, version) as inception
from stretches
group by flow_group, symbol, stretch
order by flow_group, symbol, from_session nulls first
