-- report.turns: the changes of label, states and verdicts over the last 21 sessions, the newest first.
-- grain: session, subject
-- sources: core.sessions, core.evidence_names, signals.verdict_changes
-- null: old_value and new_value where not known that session
-- columns: session; subject; name in words; old_value, of the session before; new_value; detail, the reason
with names as (
    select evidence as subject, name, 10 + place as place from core.evidence_names
    union all
    from (
        values
            ('label', 'Label in force', 1),
            ('size_state', 'Size', 2),
            ('leadership_state', 'Leadership', 3),
            ('support_state', 'Support by flows and earnings', 4)
    ) as words (subject, name, place)
),

recent as (
    select session from core.sessions where session <= getvariable('session') order by session desc limit 21
)

select c.session, c.subject, n.name, c.old as old_value, c.new as new_value, c.detail
from signals.verdict_changes as c
join names as n using (subject)
semi join recent as r on r.session = c.session
order by c.session desc, n.place
