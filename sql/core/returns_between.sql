-- core.returns_between: total return of every symbol between two sessions, such as since a low that has left the 252-session window.
-- grain: symbol
-- sources: core.instruments, core.prices, core.sessions
-- lookback: all; the sessions between the two that are given
-- null: total_return where the symbol has no price on either session; session_from and session_to where no session is that early
-- formula: total_return_index at session_to / at session_from - 1. A date without a session means the last session before it, so that
--   returns_between('2024-12-31', '2025-12-31') is the return of 2025
create or replace macro core.returns_between(a, b) as table
with asked as (
    select
        (select max(session) from core.sessions where session <= a::date) as session_from,
        (select max(session) from core.sessions where session <= b::date) as session_to
)

select
    i.symbol,
    d.session_from,
    d.session_to,
    late.total_return_index / early.total_return_index - 1 as total_return
from (from core.instruments where kind <> 'index') as i
cross join asked as d
left join core.prices as early on early.symbol = i.symbol and early.session = d.session_from
left join core.prices as late on late.symbol = i.symbol and late.session = d.session_to
order by i.symbol
