-- raw.earnings_growth: every version of analysts' estimates of companies' earnings, requested about once a week. Append-only.
-- grain: symbol, as_of, known_at
-- sources: stage.earnings_growth
-- lookback: none
-- null: no estimate; period ends, earnings per share, analysts, revisions, price and answer in versions recorded before these columns were added
-- columns:
--   symbol: ticker of the company
--   as_of: day of the snapshot
--   period_end_current_year: last day of the fiscal year under way, the first that the company has not reported
--   period_end_next_year: last day of the fiscal year after it
--   eps_year_ago: earnings per share of the fiscal year before the one under way
--   eps_current_year: earnings per share of the fiscal year under way, mean of the estimates
--   eps_next_year: earnings per share of the next fiscal year, mean of the estimates
--   growth_current_year: fraction, fiscal year under way over the one before
--   growth_next_year: fraction, next fiscal year over the one under way
--   analysts: number of estimates of the next fiscal year
--   revisions_up_30d: estimates of the next fiscal year raised in the last 30 days
--   revisions_down_30d: estimates of the next fiscal year lowered in the last 30 days
--   price: price per share on the day of the snapshot, in the currency of the earnings
--   source: vendor that published it
--   answer: the vendor's whole answer as JSON, kept for fields that are not read today
--   known_at: when it was fetched
--   run_id: run that added it
create table if not exists raw.earnings_growth (
    symbol varchar not null,
    as_of date not null,
    period_end_current_year date,
    period_end_next_year date,
    eps_year_ago double,
    eps_current_year double,
    eps_next_year double,
    growth_current_year double,
    growth_next_year double,
    analysts double,
    revisions_up_30d double,
    revisions_down_30d double,
    price double,
    source varchar not null,
    answer varchar,
    known_at timestamptz not null,
    run_id varchar not null
);

insert into raw.earnings_growth by name
select * exclude (is_new, is_revised), getvariable('known_at') as known_at, getvariable('run_id') as run_id
from stage.earnings_growth
order by symbol, as_of;
