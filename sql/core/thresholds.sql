-- core.thresholds: every level by which the evidence board and the regime judge, in one place.
-- grain: subject, measure, outcome
-- sources: none; these are the rules themselves
-- formula: an outcome holds where all measures of its subject compare to their levels as said; votes: 1 for the rotation, -1 against it,
--   0 where neither holds. Of the labels the first that holds counts, by `place`
-- columns:
--   subject: the evidence, or regime
--   measure: what is compared
--   outcome: for or against (the rotation), a label, or known (a label can be given), held (a label takes effect)
--   comparison: >, >=, < or <=
--   level: what the measure is compared with
--   unit: of the level
--   is_shown: the measure that signals.rotation_evidence shows as value
--   place: order in which the outcomes are tried
select subject, measure, outcome, comparison, level::double as level, unit, is_shown, place
from (
    values
        ('relative_strength', 'spread_3m', 'for', '>', 0, 'fraction', true, 1),
        ('relative_strength', 'spread_3m', 'against', '<', 0, 'fraction', true, 2),
        ('relative_strength', 'ratio_less_ma200', 'for', '>', 0, 'index points', false, 1),
        ('relative_strength', 'ratio_less_ma200', 'against', '<', 0, 'index points', false, 2),
        ('breadth', 'sectors_beating_spy_3m', 'for', '>=', 6, 'sectors', true, 1),
        ('breadth', 'sectors_beating_spy_3m', 'against', '<=', 3, 'sectors', true, 2),
        ('breadth', 'equal_minus_cap_3m', 'for', '>', 0, 'fraction', false, 1),
        ('breadth', 'equal_minus_cap_3m', 'against', '<', 0, 'fraction', false, 2),
        -- Of the last three completed months, those with money flowing in less those with money flowing out.
        ('fund_flows', 'months_in_less_out', 'for', '>=', 3, 'months', true, 1),
        ('fund_flows', 'months_in_less_out', 'against', '<=', -3, 'months', true, 2),
        ('sector_leadership', 'technology_rank_3m', 'for', '>=', 7, 'rank', true, 1),
        ('sector_leadership', 'technology_rank_3m', 'against', '<=', 2, 'rank', true, 2),
        ('mega_cap', 'mag7_minus_rest_3m', 'for', '<', -0.01, 'fraction', true, 1),
        ('mega_cap', 'mag7_minus_rest_3m', 'against', '>', 0.01, 'fraction', true, 2),
        ('earnings', 'gap', 'for', '>', 0, 'fraction', true, 1),
        ('earnings', 'gap', 'against', '<', 0, 'fraction', true, 2),
        ('regime', 'known_verdicts', 'known', '>=', 3, 'verdicts', false, 1),
        ('regime', 'score', 'confirmed', '>=', 0.5, 'mean verdict', false, 1),
        ('regime', 'score', 'building', '>=', 0.1, 'mean verdict', false, 2),
        ('regime', 'score', 'neutral', '>', -0.1, 'mean verdict', false, 3),
        ('regime', 'score', 'fading', '>', -0.5, 'mean verdict', false, 4),
        ('regime', 'score', 'reversed', '<=', -0.5, 'mean verdict', false, 5),
        ('regime', 'sessions_in_a_row', 'held', '>=', 5, 'sessions', false, 1)
) as rules (subject, measure, outcome, comparison, level, unit, is_shown, place)
order by subject, measure, place
