-- serve.pair: any two symbols against each other between two dates: their ratio with its averages, and what each returned since the first date.
-- grain: session; those of the period on which both have a price
-- sources: core.prices
-- null: an average whose window is not full
-- formula: as signals.relative_strength: ratio = 100 x TRI of the first symbol / TRI of the second, 100 on their first common session; return =
--   TRI / TRI on the period's first session - 1
-- columns: ratio, and its means over the last 50 and 200 common sessions; small_return and large_return of the first and the second symbol and spread,
--   the first less the second, as fractions since the period's first session
with common as (
    select s.session, s.total_return_index as small_tri, l.total_return_index as large_tri
    from core.prices as s
    join core.prices as l on l.session = s.session
    where s.symbol = getvariable('small')
        and l.symbol = getvariable('large')
        and s.total_return_index is not null
        and l.total_return_index is not null
        and s.session <= getvariable('finish')
),

ratios as (
    select *, 100 * (small_tri / large_tri) / first(small_tri / large_tri) over (order by session) as ratio
    from common
),

averaged as (
    select
        *,
        case when count(*) over last_50 = 50 then avg(ratio) over last_50 end as ratio_ma50,
        case when count(*) over last_200 = 200 then avg(ratio) over last_200 end as ratio_ma200
    from ratios
    window last_50 as (order by session rows 49 preceding), last_200 as (order by session rows 199 preceding)
),

period as (
    select
        *,
        small_tri / first(small_tri) over (order by session) - 1 as small_return,
        large_tri / first(large_tri) over (order by session) - 1 as large_return
    from averaged
    where session >= getvariable('start')
)

select session, ratio, ratio_ma50, ratio_ma200, small_return, large_return, small_return - large_return as spread
from period
order by session
