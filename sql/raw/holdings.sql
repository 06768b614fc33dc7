-- raw.holdings: every version of the funds' holdings, from the issuers' files, requested about once a week. Append-only; a file
--   that the issuer corrects is added again as a whole.
-- grain: fund_symbol, as_of, symbol, name, known_at
-- sources: stage.holdings
-- lookback: none
-- null: symbol of holdings without a ticker, such as cash
-- columns:
--   fund_symbol: ticker of the fund
--   as_of: date of the issuer's file
--   symbol: ticker of the constituent
--   name: name of the constituent
--   weight: fraction of the fund
--   source: issuer or vendor that published it
--   known_at: when it was fetched
--   run_id: run that added it
create table if not exists raw.holdings (
    fund_symbol varchar not null,
    as_of date not null,
    symbol varchar,
    name varchar,
    weight double,
    source varchar not null,
    known_at timestamptz not null,
    run_id varchar not null
);

insert into raw.holdings by name
select * exclude (is_new, is_revised), getvariable('known_at') as known_at, getvariable('run_id') as run_id
from stage.holdings
order by fund_symbol, as_of, weight desc;
