-- fn.fund_facts_known_at: the last version of each snapshot of a fund that was known at `ts`.
-- grain: symbol, as_of
-- sources: raw.fund_facts
-- lookback: none
-- null: as in raw.fund_facts
create or replace macro fn.fund_facts_known_at(ts) as table
select *
from raw.fund_facts
where known_at <= ts
qualify row_number() over (partition by symbol, as_of order by known_at desc) = 1
