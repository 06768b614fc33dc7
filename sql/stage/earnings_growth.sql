-- stage.earnings_growth: the estimates of this run that are new or differ from their last known version.
-- grain: symbol, as_of; an estimate that occurs more than once is kept as often, for the audit
-- sources: stage.fetched_earnings_growth, fn.earnings_growth_known_at, fn.value_differs
-- lookback: none
-- null: values that the vendor does not publish
-- columns:
--   is_new: no version of the estimate is known
--   is_revised: it differs from the last known version
with fetched as (
    select
        * replace (
            as_of::date as as_of,
            period_end_current_year::date as period_end_current_year,
            period_end_next_year::date as period_end_next_year
        ),
        count(*) over (partition by symbol, as_of) as times_given
    from stage.fetched_earnings_growth
),

compared as (
    select
        f.*,
        k.symbol is null as is_new,
        k.symbol is not null and (
            f.period_end_current_year is distinct from k.period_end_current_year
            or f.period_end_next_year is distinct from k.period_end_next_year
            or fn.value_differs(f.eps_year_ago, k.eps_year_ago)
            or fn.value_differs(f.eps_current_year, k.eps_current_year)
            or fn.value_differs(f.eps_next_year, k.eps_next_year)
            or fn.value_differs(f.growth_current_year, k.growth_current_year)
            or fn.value_differs(f.growth_next_year, k.growth_next_year)
            or fn.value_differs(f.analysts, k.analysts)
            or fn.value_differs(f.revisions_up_30d, k.revisions_up_30d)
            or fn.value_differs(f.revisions_down_30d, k.revisions_down_30d)
            or fn.value_differs(f.price, k.price)
        ) as is_revised
    from fetched as f
    left join fn.earnings_growth_known_at('infinity'::timestamptz) as k on k.symbol = f.symbol and k.as_of = f.as_of
)

select * exclude (times_given)
from compared
where is_new or is_revised or times_given > 1
order by symbol, as_of
