-- raw.earnings_growth: every version of analysts' estimates of companies' earnings growth, requested about once a week. Append-only.
-- grain: symbol, as_of, known_at
-- sources: stage.earnings_growth
-- lookback: none
-- null: no estimate
-- columns:
--   symbol: ticker of the company
--   as_of: day of the snapshot
--   growth_current_year: fraction, fiscal year under way over the one before
--   growth_next_year: fraction, next fiscal year over the one under way
--   source: vendor that published it
--   known_at: when it was fetched
--   run_id: run that added it
create table if not exists raw.earnings_growth (
    symbol varchar not null,
    as_of date not null,
    growth_current_year double,
    growth_next_year double,
    source varchar not null,
    known_at timestamptz not null,
    run_id varchar not null
);

insert into raw.earnings_growth by name
select * exclude (is_new, is_revised), getvariable('known_at') as known_at, getvariable('run_id') as run_id
from stage.earnings_growth
order by symbol, as_of;
