-- stage.fund_facts: the snapshots of this run that are new or differ from their last known version.
-- grain: symbol, as_of; a snapshot that occurs more than once is kept as often, for the audit
-- sources: stage.fetched_fund_facts, fn.fund_facts_known_at, fn.value_differs
-- lookback: none
-- null: values that the vendor does not publish
-- columns:
--   is_new: no version of the snapshot is known
--   is_revised: it differs from the last known version
with fetched as (
    select * replace (as_of::date as as_of), count(*) over (partition by symbol, as_of) as times_given
    from stage.fetched_fund_facts
),

compared as (
    select
        f.*,
        k.symbol is null as is_new,
        k.symbol is not null and (
            fn.value_differs(f.expense_ratio, k.expense_ratio) or fn.value_differs(f.total_net_assets_usd, k.total_net_assets_usd)
            or fn.value_differs(f.nav, k.nav) or fn.value_differs(f.trailing_pe, k.trailing_pe)
            or f.category is distinct from k.category or f.index_name is distinct from k.index_name
        ) as is_revised
    from fetched as f
    left join fn.fund_facts_known_at('infinity'::timestamptz) as k on k.symbol = f.symbol and k.as_of = f.as_of
)

select * exclude (times_given)
from compared
where is_new or is_revised or times_given > 1
order by symbol, as_of
