-- ops.revisions: every value of any dataset that a vendor restated, each against the version before it.
-- grain: dataset, symbol, session, constituent, column_name, known_at
-- sources: raw.prices, raw.price_events, raw.fund_nav, raw.fund_facts, raw.holdings, raw.earnings_growth, fn.number_cell, fn.text_cell, fn.value_differs
-- lookback: all; a version is compared with the one before it, whenever that was
-- incremental: by session
-- null: old_value and old_text, new_value and new_text where the vendor gave none, and of a withdrawn bar, event or constituent; constituent of every
--   dataset but holdings
-- formula: a number is restated where fn.value_differs says so, a text where it is not the same
-- columns:
--   dataset: name of the dataset; price_events for distributions and splits without a published bar
--   symbol: ticker; of holdings, that of the fund
--   session: XNYS trading date, or day of the snapshot
--   column_name: column of the raw table
--   old_value: number in the version before
--   new_value: number in this version
--   known_at: when this version was fetched
--   run_id: run that fetched it
--   old_text: text in the version before, of a column of text
--   new_text: text in this version, of a column of text
--   constituent: of holdings, ticker of the constituent, or its name where it has no ticker
with prices as (
    select
        symbol, session, null::varchar as constituent, known_at, run_id,
        [
            fn.number_cell('open', open), fn.number_cell('high', high), fn.number_cell('low', low), fn.number_cell('close', close),
            fn.number_cell('volume', volume), fn.number_cell('dividend', dividend), fn.number_cell('capital_gain', capital_gain),
            fn.number_cell('split_ratio', split_ratio)
        ] as cells
    from raw.prices
    qualify count(*) over (partition by symbol, session) > 1
),

price_events as (
    select
        symbol, event_date as session, null::varchar as constituent, known_at, run_id,
        [
            fn.number_cell('dividend', dividend), fn.number_cell('capital_gain', capital_gain), fn.number_cell('split_ratio', split_ratio)
        ] as cells
    from raw.price_events
    qualify count(*) over (partition by symbol, event_date) > 1
),

fund_nav as (
    select
        symbol, session, null::varchar as constituent, known_at, run_id,
        [
            fn.number_cell('nav', nav), fn.number_cell('shares_outstanding', shares_outstanding),
            fn.number_cell('total_net_assets_usd', total_net_assets_usd), fn.number_cell('distribution', distribution)
        ] as cells
    from raw.fund_nav
    qualify count(*) over (partition by symbol, session) > 1
),

fund_facts as (
    select
        symbol, as_of as session, null::varchar as constituent, known_at, run_id,
        [
            fn.number_cell('expense_ratio', expense_ratio), fn.number_cell('total_net_assets_usd', total_net_assets_usd),
            fn.number_cell('nav', nav), fn.text_cell('category', category), fn.text_cell('index_name', index_name),
            fn.number_cell('trailing_pe', trailing_pe)
        ] as cells
    from raw.fund_facts
    qualify count(*) over (partition by symbol, as_of) > 1
),

-- A version of a holdings file lists every constituent; what it does not list has no weight in it. Lines that a file has more than once, such as
-- cash, are compared by their sum.
holdings_versions as (
    select fund_symbol, as_of, known_at, any_value(run_id) as run_id
    from raw.holdings
    group by fund_symbol, as_of, known_at
    qualify count(*) over (partition by fund_symbol, as_of) > 1
),

constituents as (
    select h.fund_symbol, h.as_of, coalesce(h.symbol, h.name) as constituent, h.known_at, sum(h.weight order by h.weight) as weight
    from raw.holdings as h
    semi join holdings_versions as v on v.fund_symbol = h.fund_symbol and v.as_of = h.as_of
    group by all
),

holdings as (
    select
        v.fund_symbol as symbol, v.as_of as session, n.constituent, v.known_at, v.run_id,
        [fn.number_cell('weight', c.weight)] as cells
    from holdings_versions as v
    join (select distinct fund_symbol, as_of, constituent from constituents) as n on n.fund_symbol = v.fund_symbol and n.as_of = v.as_of
    left join constituents as c
        on c.fund_symbol = v.fund_symbol and c.as_of = v.as_of and c.known_at = v.known_at and c.constituent = n.constituent
),

earnings_growth as (
    select
        symbol, as_of as session, null::varchar as constituent, known_at, run_id,
        [
            fn.text_cell('period_end_current_year', period_end_current_year), fn.text_cell('period_end_next_year', period_end_next_year),
            fn.number_cell('eps_year_ago', eps_year_ago), fn.number_cell('eps_current_year', eps_current_year),
            fn.number_cell('eps_next_year', eps_next_year), fn.number_cell('growth_current_year', growth_current_year),
            fn.number_cell('growth_next_year', growth_next_year), fn.number_cell('analysts', analysts),
            fn.number_cell('revisions_up_30d', revisions_up_30d), fn.number_cell('revisions_down_30d', revisions_down_30d),
            fn.number_cell('price', price)
        ] as cells
    from raw.earnings_growth
    qualify count(*) over (partition by symbol, as_of) > 1
),

versions as (
    select 'prices' as dataset, * from prices
    union all by name
    select 'price_events' as dataset, * from price_events
    union all by name
    select 'fund_nav' as dataset, * from fund_nav
    union all by name
    select 'fund_facts' as dataset, * from fund_facts
    union all by name
    select 'holdings' as dataset, * from holdings
    union all by name
    select 'earnings_growth' as dataset, * from earnings_growth
),

long as (
    select * exclude (cells), unnest(cells, recursive := true)
    from versions
),

steps as (
    select
        *,
        lag(number) over version_order as old_value,
        lag(text) over version_order as old_text,
        row_number() over version_order as version
    from long
    window version_order as (partition by dataset, symbol, session, constituent, column_name order by known_at)
)

select
    dataset,
    symbol,
    session,
    column_name,
    old_value,
    number as new_value,
    known_at,
    run_id,
    old_text,
    text as new_text,
    constituent
from steps
where version > 1 and (fn.value_differs(number, old_value) or text is distinct from old_text)
order by known_at, dataset, symbol, session, constituent, column_name
