-- fn.fund_nav_known_at: the last version of each fund record that was known at `ts`.
-- grain: symbol, session
-- sources: raw.fund_nav
-- lookback: none
-- null: as in raw.fund_nav
create or replace macro fn.fund_nav_known_at(ts) as table
select *
from raw.fund_nav
where known_at <= ts
qualify row_number() over (partition by symbol, session order by known_at desc) = 1
