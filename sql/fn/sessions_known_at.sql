-- fn.sessions_known_at: the exchange calendar as it was known at `ts`, including dates that turned out not to be sessions.
-- grain: session
-- sources: raw.sessions
-- lookback: none
-- null: none
create or replace macro fn.sessions_known_at(ts) as table
select *
from raw.sessions
where known_at <= ts
qualify row_number() over (partition by session order by known_at desc) = 1
