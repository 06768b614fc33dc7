-- report.headline: the label and the states in force over two years, the scores behind them, and what would change the label.
-- grain: session
-- sources: core.thresholds, core.regime_label, signals.rotation_regime
-- null: what is not known; label_if_* where no label would be in force
-- columns: those of signals.rotation_regime; sessions_to_hold: sessions in a row that a state of the day needs to come into force;
--   label_if_*: the label that would follow if the state so named came into force and the others stayed
select
    r.session,
    r.label,
    r.label_since,
    r.days_in_label,
    r.size_score,
    r.size_state,
    r.size_state_since,
    r.size_state_today,
    r.size_sessions_differing,
    r.leadership_score,
    r.leadership_state,
    r.leadership_state_since,
    r.leadership_state_today,
    r.leadership_sessions_differing,
    r.support_state,
    t.level::integer as sessions_to_hold,
    core.regime_label('leading', r.leadership_state, r.support_state) as label_if_leading,
    core.regime_label('even', r.leadership_state, r.support_state) as label_if_even,
    core.regime_label('trailing', r.leadership_state, r.support_state) as label_if_trailing,
    core.regime_label(r.size_state, 'broadening', r.support_state) as label_if_broadening,
    core.regime_label(r.size_state, 'mixed', r.support_state) as label_if_mixed,
    core.regime_label(r.size_state, 'narrowing', r.support_state) as label_if_narrowing,
    core.regime_label(r.size_state, r.leadership_state, 'contradicted') as label_if_contradicted,
    core.regime_label(r.size_state, r.leadership_state, 'mixed') as label_if_not_contradicted
from signals.rotation_regime as r
join core.thresholds as t on t.subject = 'regime' and t.measure = 'sessions_in_a_row'
where r.session <= getvariable('session')
qualify row_number() over (order by r.session desc) <= 504
order by r.session
