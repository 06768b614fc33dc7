-- report.freshness: the freshness of each dataset at the session, and the number of its symbols that have its latest day.
-- grain: dataset
-- sources: core.sessions, core.instruments, core.prices, core.fund_nav, core.fund_facts, core.holdings, core.earnings_growth, ops.datasets
-- null: latest and sessions_behind of a dataset without any record by then
-- columns: latest day with a record; symbols_latest have it, of symbols that should (for holdings and estimates: that ever had one);
--   sessions_behind the report's session, and how many are usual, see ops.datasets
with report_session as (
    select session, session_number from core.sessions where session <= getvariable('session') order by session desc limit 1
),

known as (
    select 'prices' as dataset, symbol, max(session) as day from core.prices where session <= getvariable('session') group by symbol
    union all
    select 'fund_nav', symbol, max(session) from core.fund_nav where session <= getvariable('session') group by symbol
    union all
    select 'fund_facts', symbol, max(as_of) from core.fund_facts where as_of <= getvariable('session') group by symbol
    union all
    select 'holdings', fund_symbol, max(as_of) from core.holdings where as_of <= getvariable('session') group by fund_symbol
    union all
    select 'earnings_growth', symbol, max(as_of) from core.earnings_growth where as_of <= getvariable('session') group by symbol
),

datasets as (
    select dataset, place, max_age_sessions as usually_behind from ops.datasets where source is null
),

listed as (
    select i.symbol, i.kind
    from core.instruments as i
    left join (from known where dataset = 'prices') as k using (symbol)
    where i.kind <> 'index' and (coalesce(i.inception <= getvariable('session'), true) or k.symbol is not null)
),

wanted as (
    select 'prices' as dataset, symbol from listed
    union
    select d.dataset, l.symbol from listed as l cross join (values ('fund_nav'), ('fund_facts')) as d (dataset) where l.kind <> 'stock'
    union
    select dataset, symbol from known
),

newest as (
    select dataset, max(day) as latest from known group by dataset
)

select
    d.dataset,
    n.latest,
    count(k.symbol) filter (k.day = n.latest) as symbols_latest,
    count(w.symbol) as symbols,
    any_value(r.session_number) - any_value(s.session_number) as sessions_behind,
    d.usually_behind
from datasets as d
cross join report_session as r
left join newest as n using (dataset)
left join wanted as w using (dataset)
left join known as k on k.dataset = w.dataset and k.symbol = w.symbol
asof left join core.sessions as s on s.session <= n.latest
group by d.dataset, d.place, d.usually_behind, n.latest
order by d.place
