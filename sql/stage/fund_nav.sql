-- stage.fund_nav: the fund records of this run that are new or differ from their last known version.
-- grain: symbol, session; a record that occurs more than once is kept as often, for the audit
-- sources: stage.fetched_fund_nav, fn.fund_nav_known_at, fn.value_differs
-- lookback: none
-- null: as published
-- columns:
--   is_new: no version of the record is known
--   is_revised: it differs from the last known version
with fetched as (
    select * replace (session::date as session), count(*) over (partition by symbol, session) as times_given
    from stage.fetched_fund_nav
),

compared as (
    select
        f.*,
        k.symbol is null as is_new,
        k.symbol is not null and (
            fn.value_differs(f.nav, k.nav) or fn.value_differs(f.shares_outstanding, k.shares_outstanding)
            or fn.value_differs(f.total_net_assets_usd, k.total_net_assets_usd) or fn.value_differs(f.distribution, k.distribution)
        ) as is_revised
    from fetched as f
    left join fn.fund_nav_known_at('infinity'::timestamptz) as k on k.symbol = f.symbol and k.session = f.session
)

select * exclude (times_given)
from compared
where is_new or is_revised or times_given > 1
order by symbol, session
