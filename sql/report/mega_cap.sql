-- report.mega_cap: the Magnificent Seven against the rest, and technology against the other sectors.
-- grain: session, horizon; the three-month horizon at every session of the last 756, before that at the last of each week; the others at
--   the report's session
-- sources: core.sessions, signals.mega_cap
-- null: where a window is not full
-- columns: returns and differences as in signals.mega_cap, fractions
with shown as (
    select session
    from core.sessions
    where session <= getvariable('session')
    qualify session_number > max(session_number) over () - 756
        or row_number() over (partition by date_trunc('week', session) order by session desc) = 1
),

by_horizon as (
    select
        session, '1m' as horizon, 1 as place, mag7_return_1m as mag7_return, rest_return_1m as rest_return,
        mag7_minus_rest_1m as mag7_minus_rest, tech_return_1m as tech_return, ex_tech_return_1m as ex_tech_return,
        tech_minus_ex_tech_1m as tech_minus_ex_tech
    from signals.mega_cap
    union all
    select
        session, '3m' as horizon, 2 as place, mag7_return_3m as mag7_return, rest_return_3m as rest_return,
        mag7_minus_rest_3m as mag7_minus_rest, tech_return_3m as tech_return, ex_tech_return_3m as ex_tech_return,
        tech_minus_ex_tech_3m as tech_minus_ex_tech
    from signals.mega_cap
    union all
    select
        session, '6m' as horizon, 3 as place, mag7_return_6m as mag7_return, rest_return_6m as rest_return,
        mag7_minus_rest_6m as mag7_minus_rest, tech_return_6m as tech_return, ex_tech_return_6m as ex_tech_return,
        tech_minus_ex_tech_6m as tech_minus_ex_tech
    from signals.mega_cap
    union all
    select
        session, '12m' as horizon, 4 as place, mag7_return_12m as mag7_return, rest_return_12m as rest_return,
        mag7_minus_rest_12m as mag7_minus_rest, tech_return_12m as tech_return, ex_tech_return_12m as ex_tech_return,
        tech_minus_ex_tech_12m as tech_minus_ex_tech
    from signals.mega_cap
    union all
    select
        session, 'ytd' as horizon, 5 as place, mag7_return_ytd as mag7_return, rest_return_ytd as rest_return,
        mag7_minus_rest_ytd as mag7_minus_rest, tech_return_ytd as tech_return, ex_tech_return_ytd as ex_tech_return,
        tech_minus_ex_tech_ytd as tech_minus_ex_tech
    from signals.mega_cap
)

select b.session, b.horizon, b.mag7_return, b.rest_return, b.mag7_minus_rest, b.tech_return, b.ex_tech_return, b.tech_minus_ex_tech
from by_horizon as b
semi join shown as s on s.session = b.session
where b.horizon = '3m' or b.session = getvariable('session')
order by b.session, b.place
