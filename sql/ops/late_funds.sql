-- ops.late_funds: funds whose records stand still or lag, as `rotation status` names them: `from ops.late_funds()`.
-- grain: symbol
-- sources: core.instruments, core.sessions, core.fund_flows, ops.datasets
-- lookback: all; the newest record and the newest known share count of each fund
-- null: last_count_session and count_age_sessions of a fund without any known share count
-- formula: of the funds of the universe with any record. unchanged: the share count has stood still, while NAV moved, for longer than it ever
--   does (a dead source of core.fund_flows); late: the newest record is older than ops.datasets allows; no share count: records come, but the
--   newest known share count is over 23 sessions old, so that the next flow cannot be known. Of these the first that applies
create or replace macro ops.late_funds() as table
with numbered as (
    select session, session_number, max(session_number) over () as latest_number from core.sessions
),

last_records as (
    select f.symbol, f.session, f.source, f.null_reason, f.sessions_unchanged, n.latest_number - n.session_number as record_age_sessions
    from core.fund_flows as f
    semi join core.instruments as i on i.symbol = f.symbol
    join numbered as n on n.session = f.session
    qualify row_number() over (partition by f.symbol order by f.session desc) = 1
),

last_counts as (
    select f.symbol, max(f.session) as last_count_session, min(n.latest_number - n.session_number) as count_age_sessions
    from core.fund_flows as f
    join numbered as n on n.session = f.session
    where f.is_counted
    group by f.symbol
),

judged as (
    select
        r.*,
        c.last_count_session,
        c.count_age_sessions,
        coalesce(own.max_age_sessions, general.max_age_sessions) as max_age_sessions,
        case
            when r.null_reason = 'dead source' then 'unchanged'
            when r.record_age_sessions > coalesce(own.max_age_sessions, general.max_age_sessions) then 'late'
            when c.count_age_sessions > 23 then 'no share count'
        end as reason
    from last_records as r
    join ops.datasets as general on general.dataset = 'fund_nav' and general.source is null
    left join ops.datasets as own on own.dataset = 'fund_nav' and own.source = r.source
    left join last_counts as c on c.symbol = r.symbol
)

select
    symbol,
    reason,
    session as last_session,
    record_age_sessions,
    max_age_sessions,
    sessions_unchanged,
    last_count_session,
    count_age_sessions,
    source
from judged
where reason is not null
order by symbol
