-- ops.datasets: how old each dataset may be, from the registry in tasks/datasets.py.
-- grain: dataset, source
-- sources: none
-- lookback: none
-- null: source of the rule for every source that has none of its own
-- columns:
--   dataset: name of the dataset
--   place: order in which the datasets are listed
--   source: whose records the rule is for, as the raw table names it
--   max_age_sessions: sessions that the newest record may lie behind the session of a run before the dataset counts as behind
select dataset, place, source, max_age_sessions
from (select unnest(getvariable('datasets'), max_depth := 2))
order by place, source nulls first
