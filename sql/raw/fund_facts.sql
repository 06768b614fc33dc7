-- raw.fund_facts: every version of what vendors said of each fund on each day it was requested. Rows are only ever added; vendors keep no history.
-- grain: symbol, as_of, known_at
-- sources: stage.fund_facts
-- lookback: none
-- null: what the vendor does not say
-- columns:
--   symbol: ticker
--   as_of: day of the snapshot
--   expense_ratio: fraction of assets a year
--   total_net_assets_usd: USD
--   nav: USD per share
--   category: the vendor's category
--   index_name: index the fund follows, where the vendor says so
--   trailing_pe: price over earnings of what the fund holds
--   source: who said so
--   known_at: when it was fetched
--   run_id: run that added it
create table if not exists raw.fund_facts (
    symbol varchar not null,
    as_of date not null,
    expense_ratio double,
    total_net_assets_usd double,
    nav double,
    category varchar,
    index_name varchar,
    trailing_pe double,
    source varchar not null,
    known_at timestamptz not null,
    run_id varchar not null
);

insert into raw.fund_facts by name
select * exclude (is_new, is_revised), getvariable('known_at') as known_at, getvariable('run_id') as run_id
from stage.fund_facts
order by symbol, as_of;
