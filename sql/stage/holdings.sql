-- stage.holdings: the holdings files of this run that are new or differ from their last known version, each as a whole, so that the audit
--   can judge its sum and what replaces a known version is complete.
-- grain: fund_symbol, as_of, symbol, name; what a file lists more than once, such as cash, is kept as often
-- sources: stage.fetched_holdings, fn.holdings_known_at, fn.value_differs
-- lookback: none
-- null: symbol of holdings without a ticker, such as cash
-- columns:
--   is_new: the known version of the file, if there is one, does not list it
--   is_revised: its weight differs from that in the known version
with fetched as (
    select
        * replace (as_of::date as as_of),
        row_number() over (partition by fund_symbol, as_of, symbol, name order by weight desc) as occurrence
    from stage.fetched_holdings
),

known as (
    select *, row_number() over (partition by fund_symbol, as_of, symbol, name order by weight desc) as occurrence
    from fn.holdings_known_at('infinity'::timestamptz)
),

compared as (
    select
        f.*,
        k.fund_symbol is null as is_new,
        k.fund_symbol is not null and fn.value_differs(f.weight, k.weight) as is_revised
    from fetched as f
    left join known as k
        on k.fund_symbol = f.fund_symbol and k.as_of = f.as_of and k.occurrence = f.occurrence
        and k.symbol is not distinct from f.symbol and k.name is not distinct from f.name
),

sizes as (
    select fund_symbol, as_of, count(*) as constituents from known group by all
),

changed as (
    select c.fund_symbol, c.as_of
    from compared as c
    left join sizes as s using (fund_symbol, as_of)
    group by c.fund_symbol, c.as_of
    -- Where nothing is new or revised, a file of another length no longer lists something.
    having bool_or(c.is_new or c.is_revised) or count(*) <> max(s.constituents)
)

select c.* exclude (occurrence)
from compared as c
semi join changed using (fund_symbol, as_of)
order by c.fund_symbol, c.as_of, c.weight desc
