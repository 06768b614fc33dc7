-- raw.fund_facts: every version of vendors' facts about each fund, by day of the request. Append-only; vendors keep no history.
-- grain: symbol, as_of, known_at
-- sources: stage.fund_facts
-- lookback: none
-- null: values that the vendor does not publish
-- columns:
--   symbol: ticker
--   as_of: day of the snapshot
--   expense_ratio: fraction of assets a year
--   total_net_assets_usd: USD
--   nav: USD per share
--   category: the vendor's category
--   index_name: index the fund follows, if the vendor publishes it
--   trailing_pe: price over earnings of the fund's holdings
--   source: vendor that published it
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
