-- serve.growth: what 100 invested in each of the symbols on their first common session of a period became, distributions reinvested.
-- grain: symbol, session; every session of the last 756 of the period, before that the last of each week
-- sources: core.prices, core.sessions
-- null: none; a session without a price has no row
-- formula: 100 x total_return_index / that on the first session of the period on which all of the symbols have one
-- columns: symbol, session; growth
with bars as (
    select symbol, session, total_return_index as tri
    from core.prices
    where symbol in getvariable('symbols')
        and session between getvariable('start') and getvariable('finish')
        and total_return_index is not null
),

beginning as (
    select session from bars group by session having count(*) = len(getvariable('symbols')) order by session limit 1
),

shown as (
    select session
    from core.sessions
    where session between getvariable('start') and getvariable('finish')
    qualify session_number > max(session_number) over () - 756
        or row_number() over (partition by date_trunc('week', session) order by session desc) = 1
),

grown as (
    select b.symbol, b.session, 100 * b.tri / first(b.tri) over (partition by b.symbol order by b.session) as growth
    from bars as b
    join beginning as f on b.session >= f.session
)

select g.symbol, g.session, g.growth
from grown as g
semi join shown as s on s.session = g.session
order by list_position(getvariable('symbols'), g.symbol), g.session
