-- serve.pair_returns: what two symbols returned over each horizon up to the last session of a period on which both have a price.
-- grain: horizon
-- sources: core.prices, core.returns
-- null: where the window of a symbol is not full
-- formula: as core.returns; the period's return = TRI on its last common session / TRI on its first - 1
-- columns: horizon in words; small_return, large_return and spread, the first less the second, as fractions; session up to which they are
with common as (
    select s.session, s.total_return_index as small_tri, l.total_return_index as large_tri
    from core.prices as s
    join core.prices as l on l.session = s.session
    where s.symbol = getvariable('small')
        and l.symbol = getvariable('large')
        and s.total_return_index is not null
        and l.total_return_index is not null
        and s.session between getvariable('start') and getvariable('finish')
),

ends as (
    select
        min(session) as first_session,
        max(session) as last_session,
        arg_max(small_tri, session) / arg_min(small_tri, session) - 1 as small_return,
        arg_max(large_tri, session) / arg_min(large_tri, session) - 1 as large_return
    from common
    having count(*) > 1
),

legs as (
    select
        s.session,
        unnest(
            [
                {'place': 1, 'horizon': '1 session', 'small_return': s.return_1d, 'large_return': l.return_1d},
                {'place': 2, 'horizon': '1 week', 'small_return': s.return_1w, 'large_return': l.return_1w},
                {'place': 3, 'horizon': '1 month', 'small_return': s.return_1m, 'large_return': l.return_1m},
                {'place': 4, 'horizon': '3 months', 'small_return': s.return_3m, 'large_return': l.return_3m},
                {'place': 5, 'horizon': '6 months', 'small_return': s.return_6m, 'large_return': l.return_6m},
                {'place': 6, 'horizon': '12 months', 'small_return': s.return_12m, 'large_return': l.return_12m},
                {'place': 7, 'horizon': 'quarter to date', 'small_return': s.return_qtd, 'large_return': l.return_qtd},
                {'place': 8, 'horizon': 'year to date', 'small_return': s.return_ytd, 'large_return': l.return_ytd}
            ],
            recursive := true
        )
    from ends as e
    join core.returns as s on s.session = e.last_session and s.symbol = getvariable('small')
    join core.returns as l on l.session = e.last_session and l.symbol = getvariable('large')
),

everything as (
    select place, horizon, small_return, large_return, session from legs
    union all by name
    select 9 as place, 'since ' || strftime(first_session, '%Y-%m-%d') as horizon, small_return, large_return, last_session as session
    from ends
)

select horizon, small_return, large_return, small_return - large_return as spread, session
from everything
order by place
