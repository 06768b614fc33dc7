-- report.context: rates, curve, volatility, dollar and credit at the session. They describe; they do not vote.
-- grain: symbol
-- sources: core.context
-- null: changes whose base is not known, percentile_5y before 1260 rows
-- columns: those of core.context, of the last session within a week on which each is known; measure_name in words
select
    symbol,
    session,
    measure,
    case measure
        when 'rate_10y' then '10-year rate'
        when 'rate_3m' then '3-month rate'
        when 'curve' then 'Curve, 10 years less 3 months'
        when 'volatility' then 'Volatility'
        when 'dollar' then 'Dollar'
        when 'credit' then 'Credit, high yield against treasuries'
        else symbol
    end as measure_name,
    close,
    unit,
    change_1m,
    change_3m,
    change_unit,
    percentile_5y
from core.context
where session <= getvariable('session') and session > getvariable('session') - interval 7 days
qualify row_number() over (partition by symbol order by session desc) = 1
order by array_position(['rate_10y', 'rate_3m', 'curve', 'volatility', 'credit', 'dollar', 'other'], measure), symbol
