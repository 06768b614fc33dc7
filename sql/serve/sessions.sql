-- serve.sessions: the sessions that have a report.
-- grain: session
-- sources: signals.rotation_regime
-- null: none
-- columns: session
select session from signals.rotation_regime order by session
