-- fn.price_event_versions_at: the last version of each distribution or split without a published bar that was known at `ts`.
-- grain: symbol, event_date
-- sources: raw.price_events
-- lookback: none
-- null: as in raw.price_events
create or replace macro fn.price_event_versions_at(ts) as table
select *
from raw.price_events
where known_at <= ts
qualify row_number() over (partition by symbol, event_date order by known_at desc) = 1
