-- signals.rotation_regime: whether small companies lead, whether leadership broadens, and whether flows and earnings support it: one row per
--   session since the first with prices.
-- grain: session
-- rows: every session since the first price
-- sources: core.thresholds, fn.satisfies, core.regime_states, core.regime_label, signals.rotation_evidence
-- lookback: all; the states in force
-- null: scores and states of the day where the evidence is not known (leadership: with fewer than two known verdicts); states in force before
--   five sessions in a row are known, and after five in a row that are not; support_state where neither flows nor earnings are known
-- formula: size_score = value of the evidence relative_strength, its state of the day the verdict; leadership_score = mean of the known verdicts
--   of the axis, its state of the day the sign. The state in force moves when the states of the last five sessions all lie above it, to the
--   lowest of them, or all below it, to the highest: with low and high of the five, it becomes greatest(low, least(high, state)). It begins
--   as the median of the first five known in a row. support_state = sign of the sum of the known verdicts, of the day alone
-- columns:
--   session: XNYS trading date
--   size_score: conditions for less conditions against, divided by four, of the headline pair
--   size_state: in force: leading, even or trailing
--   size_state_since: first session of the current stretch of size_state
--   size_state_today: leading, even or trailing, by the score of the session
--   size_sessions_differing: sessions in a row, this one included, whose state of the day lies on the same side of size_state; 0 where it is
--     size_state or not known
--   leadership_score: mean of the known verdicts on leadership
--   leadership_state: in force: broadening, mixed or narrowing
--   leadership_state_since: first session of the current stretch of leadership_state
--   leadership_state_today: broadening, mixed or narrowing, by the score of the session
--   leadership_sessions_differing: as size_sessions_differing
--   support_state: supported, mixed or contradicted
--   label: confirmed, building, neutral, fading or reversed, as core.regime_label says
--   label_since: first session of the current stretch of label
--   days_in_label: sessions in a row with this label, this one included
with scores as (
    select
        e.session,
        max(e.value) filter (e.axis = 'size') as size_score,
        max(e.verdict) filter (e.axis = 'size') as size_today,
        case
            when fn.satisfies(count(e.verdict) filter (e.axis = 'leadership'), any_value(t.comparison), any_value(t.level)) then
                avg(e.verdict) filter (e.axis = 'leadership')
        end as leadership_score,
        sign(sum(e.verdict) filter (e.axis = 'support')) as support_today
    from signals.rotation_evidence as e
    join core.thresholds as t on t.subject = 'regime' and t.measure = 'leadership_verdicts'
    group by e.session
),

days as (
    select 'size' as axis, session, size_today::integer as day_state
    from scores
    union all
    select 'leadership', session, sign(leadership_score)::integer
    from scores
),

last_held as (
    select
        d.*,
        t.level as held,
        count(*) over last_sessions as counted,
        count(d.day_state) over last_sessions as known,
        min(d.day_state) over last_sessions as low,
        max(d.day_state) over last_sessions as high,
        median(d.day_state) over last_sessions as middle
    from days as d
    join core.thresholds as t on t.subject = 'regime' and t.measure = 'sessions_in_a_row'
    window last_sessions as (
        partition by d.axis order by d.session rows between t.level::integer - 1 preceding and current row
    )
),

-- A run of sessions that are not known ends the state; what follows is a spell of its own.
spells as (
    select *, count(*) filter (known = 0 and counted = held) over (partition by axis order by session rows unbounded preceding) as spell
    from last_held
),

started as (
    select *, min(session) filter (known = held) over (partition by axis, spell) as start_session
    from spells
),

-- greatest(low, least(high, state)) taken apart: whether the state is at least 0, and whether it is 1, each set, unset or left as it was.
switched as (
    select
        *,
        case when session = start_session then middle >= 0 when known < held then null when low >= 0 then true when high < 0 then false end as to_even,
        case when session = start_session then middle >= 1 when known < held then null when low >= 1 then true when high < 1 then false end as to_top
    from started
),

in_force as (
    select
        *,
        -- Both are NULL before the start of a spell.
        last(to_even ignore nulls) over spell_so_far::integer + last(to_top ignore nulls) over spell_so_far::integer - 1 as state
    from switched
    window spell_so_far as (partition by axis, spell order by session rows unbounded preceding)
),

numbered as (
    select
        *,
        row_number() over (partition by axis order by session) as row_number,
        state is distinct from lag(state) over (partition by axis order by session) as is_change
    from in_force
),

-- The last row that broke each run of days above or below a state; not known breaks them all.
runs as (
    select
        *,
        row_number - coalesce(max(row_number) filter (day_state is null or day_state < 0) over so_far, 0) as run_from_even,
        row_number - coalesce(max(row_number) filter (day_state is null or day_state < 1) over so_far, 0) as run_of_top,
        row_number - coalesce(max(row_number) filter (day_state is null or day_state > 0) over so_far, 0) as run_to_even,
        row_number - coalesce(max(row_number) filter (day_state is null or day_state > -1) over so_far, 0) as run_of_bottom,
        max(session) filter (is_change) over so_far as since
    from numbered
    window so_far as (partition by axis order by session rows unbounded preceding)
),

measured as (
    select
        axis,
        session,
        day_state,
        state,
        case when state is not null then since end as since,
        case
            when day_state > state then case state when -1 then run_from_even else run_of_top end
            when day_state < state then case state when 1 then run_to_even else run_of_bottom end
            else 0
        end as sessions_differing
    from runs
),

named as (
    select m.axis, m.session, m.since, m.sessions_differing, f.state as state_in_force, d.state as state_today
    from measured as m
    left join core.regime_states as f on f.axis = m.axis and f.value = m.state
    left join core.regime_states as d on d.axis = m.axis and d.value = m.day_state
),

together as (
    select
        s.session,
        s.size_score,
        z.state_in_force as size_state,
        z.since as size_state_since,
        z.state_today as size_state_today,
        z.sessions_differing as size_sessions_differing,
        s.leadership_score,
        l.state_in_force as leadership_state,
        l.since as leadership_state_since,
        l.state_today as leadership_state_today,
        l.sessions_differing as leadership_sessions_differing,
        p.state as support_state,
        core.regime_label(z.state_in_force, l.state_in_force, p.state) as label
    from scores as s
    join named as z on z.axis = 'size' and z.session = s.session
    join named as l on l.axis = 'leadership' and l.session = s.session
    left join core.regime_states as p on p.axis = 'support' and p.value = s.support_today
),

stretches as (
    select *, sum((label is distinct from previous_label)::integer) over (order by session rows unbounded preceding) as stretch
    from (select *, lag(label) over (order by session) as previous_label from together)
)

select
    * exclude (previous_label, stretch),
    case when label is not null then first(session) over w end as label_since,
    case when label is not null then row_number() over w end as days_in_label
from stretches
window w as (partition by stretch order by session rows unbounded preceding)
order by session
