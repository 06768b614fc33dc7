-- stage.estimate_requests: the companies whose earnings estimates this run requests: those followed whose estimate is older than ops.datasets
--   allows.
-- grain: symbol
-- sources: stage.estimated_companies, stage.sessions, raw.earnings_growth, ops.datasets
-- lookback: 5 sessions; the maximum age of an estimate
-- null: none
-- columns:
--   dataset: earnings_growth
--   symbol: ticker of the company
--   start_session: the session of the run
--   end_session: the session of the run
--   is_full_history: false
with due as (
    select session
    from stage.sessions
    where session <= getvariable('target_session')
    qualify row_number() over (order by session desc) - 1 = (
        select max_age_sessions from ops.datasets where dataset = 'earnings_growth' and source is null
    )
)

select
    'earnings_growth' as dataset,
    l.symbol,
    getvariable('target_session') as start_session,
    getvariable('target_session') as end_session,
    false as is_full_history
from stage.estimated_companies as l
anti join raw.earnings_growth as e on e.symbol = l.symbol and e.as_of >= (select session from due)
order by l.symbol
