-- signals.rotation_regime: what the evidence says together, one row per session since the first with prices.
-- grain: session
-- rows: every session since the first price
-- sources: core.thresholds, core.holds, signals.rotation_evidence
-- lookback: to the start, for the label in force
-- null: score and labels with fewer than three known verdicts; label also until a raw label has first held five sessions; days_in_label and
--   label_since where label is
-- formula: score = mean of the known verdicts; raw_label = the first label of core.thresholds that holds for the score; label = the last raw_label
--   that held five sessions running. Not known is a state like the others: held five sessions running it ends the label
-- columns:
--   session: XNYS trading date
--   score: mean of the known verdicts, -1 to 1
--   votes_for: verdicts of 1
--   votes_against: verdicts of -1
--   votes_missing: verdicts not known
--   raw_label: confirmed, building, neutral, fading or reversed, by the session's own score
--   label: raw_label once it has held five sessions running
--   days_in_label: sessions in a row with this label, this one included
--   label_since: first of these sessions
with counted as (
    select
        session,
        avg(verdict) as mean_verdict,
        count(verdict) as known_verdicts,
        count(*) filter (verdict = 1) as votes_for,
        count(*) filter (verdict = -1) as votes_against,
        count(*) filter (verdict is null) as votes_missing
    from signals.rotation_evidence
    group by session
),

scored as (
    select c.*, case when core.holds(c.known_verdicts, t.comparison, t.level) then c.mean_verdict end as score
    from counted as c
    join core.thresholds as t on t.subject = 'regime' and t.outcome = 'known'
),

labelled as (
    select s.*, arg_min(t.outcome, t.place) filter (core.holds(s.score, t.comparison, t.level)) as raw_label
    from scored as s
    join core.thresholds as t on t.subject = 'regime' and t.measure = 'score'
    group by all
),

-- Sessions in a row with one raw label share an island.
marked as (
    select *, raw_label is distinct from lag(raw_label) over (order by session) as is_change
    from labelled
),

islands as (
    select *, sum(is_change::integer) over (order by session rows unbounded preceding) as island
    from marked
),

held as (
    select
        i.*,
        case when core.holds(row_number() over (partition by i.island order by i.session), t.comparison, t.level) then
            coalesce(i.raw_label, 'not known')
        end as held_label
    from islands as i
    join core.thresholds as t on t.subject = 'regime' and t.outcome = 'held'
),

in_force as (
    select *, case when raw_label is not null then nullif(last(held_label ignore nulls) over so_far, 'not known') end as label
    from held
    window so_far as (order by session rows unbounded preceding)
),

stretches as (
    select *, sum((label is distinct from previous_label)::integer) over (order by session rows unbounded preceding) as stretch
    from (select *, lag(label) over (order by session) as previous_label from in_force)
)

select
    session,
    score,
    votes_for,
    votes_against,
    votes_missing,
    raw_label,
    label,
    case when label is not null then row_number() over w end as days_in_label,
    case when label is not null then first(session) over w end as label_since
from stretches
window w as (partition by stretch order by session rows unbounded preceding)
order by session
