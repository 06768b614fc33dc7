-- signals.regime_observations: excess return of small caps over large caps after each session of a label or state, as far as it was known on `as_of`.
-- grain: axis, state, horizon, session
-- sources: core.pairs, core.sessions, signals.relative_strength, signals.rotation_regime
-- lookback: all; the history until `as_of`
-- null: never
-- formula: an observation is the headline pair's spread (IWM less IWB) over the 21, 63 or 126 sessions after a session with the state, once they
--   have passed. Windows of neighbouring sessions overlap and are nearly the same; is_independent marks the first of a state, then the next
--   that begins when that one has ended, and so on
create or replace macro signals.regime_observations(as_of) as table
with windows as (
    select w.horizon, w.sessions, s.session_number - w.sessions as session_number, w.spread
    from signals.relative_strength as r
    join core.pairs as p on p.pair = r.pair and p.headline
    join core.sessions as s on s.session = r.session
    cross join lateral (values ('1m', 21, r.spread_1m), ('3m', 63, r.spread_3m), ('6m', 126, r.spread_6m)) as w (horizon, sessions, spread)
    where r.session <= as_of and w.spread is not null
),

regime as (
    select session, label as label, size_state as size, leadership_state as leadership, support_state as support
    from signals.rotation_regime
),

states as (
    select axis, state, session
    from regime
    unpivot (state for axis in (label, size, leadership, support))
),

known as (
    select t.axis, t.state, w.horizon, w.sessions, t.session, w.session_number, w.spread
    from windows as w
    join core.sessions as s using (session_number)
    join states as t on t.session = s.session
),

-- Walks through the starts in order and keeps each that begins when the window kept last has ended.
independent as (
    select
        axis,
        state,
        horizon,
        unnest(
            list_reduce(
                list([session_number] order by session_number),
                (kept, start) -> case when start[1] >= kept[-1] + sessions then list_concat(kept, start) else kept end
            )
        ) as session_number,
        true as is_independent
    from known
    group by axis, state, horizon, sessions
)

select k.axis, k.state, k.horizon, k.sessions, k.session, k.session_number, k.spread, coalesce(i.is_independent, false) as is_independent
from known as k
left join independent as i using (axis, state, horizon, session_number)
order by k.axis, k.state, k.sessions, k.session
