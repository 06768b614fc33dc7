-- raw.price_events: every version of every distribution and split without a published bar. Append-only.
-- grain: symbol, event_date, known_at
-- sources: stage.price_events
-- lookback: none
-- null: an amount that cannot be known; all amounts of a withdrawn event
-- columns:
--   symbol: ticker
--   event_date: the day as the source gives it, which need not be a session
--   dividend: USD per share, 0 = none
--   capital_gain: USD per share, 0 = none
--   split_ratio: new shares per old share, 1 = none
--   is_withdrawn: the source no longer has the event
--   source: adapter that fetched it
--   known_at: when it was fetched
--   run_id: run that added it
create table if not exists raw.price_events (
    symbol varchar not null,
    event_date date not null,
    dividend double,
    capital_gain double,
    split_ratio double,
    is_withdrawn boolean not null,
    source varchar not null,
    known_at timestamptz not null,
    run_id varchar not null
);

insert into raw.price_events by name
select
    symbol, event_date, dividend, capital_gain, split_ratio, is_withdrawn, source,
    getvariable('known_at') as known_at,
    getvariable('run_id') as run_id
from stage.price_events
order by symbol, event_date;
