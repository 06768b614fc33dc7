-- core.thresholds: all thresholds of the evidence and the regime.
-- grain: subject, measure, outcome
-- sources: none
-- lookback: none
-- null: never
-- formula: an outcome holds where all measures of its subject compare to their levels as given. Verdict: 1 where `for` holds, -1 where `against`
--   holds, else 0; not known where `known` does not hold
-- columns:
--   subject: the evidence; size_condition (the four conditions that the value of relative_strength counts); or regime
--   measure: what is compared
--   outcome: for or against the rotation; known (the data can carry a verdict, or a score); held (a state comes into force, or ends)
--   comparison: >, >=, < or <=
--   level: threshold that the measure is compared with
--   unit: of the level
--   is_shown: the measure that signals.rotation_evidence shows as value
--   place: order of the outcomes of a measure
select subject, measure, outcome, comparison, level::double as level, unit, is_shown, place
from (
    values
        -- Conditions for less conditions against, divided by their number.
        ('relative_strength', 'size_score', 'for', '>=', 0.5, 'share of conditions', true, 1),
        ('relative_strength', 'size_score', 'against', '<=', -0.5, 'share of conditions', true, 2),
        ('size_condition', 'spread_1m', 'for', '>', 0, 'fraction', false, 1),
        ('size_condition', 'spread_1m', 'against', '<', 0, 'fraction', false, 2),
        ('size_condition', 'spread_3m', 'for', '>', 0, 'fraction', false, 1),
        ('size_condition', 'spread_3m', 'against', '<', 0, 'fraction', false, 2),
        ('size_condition', 'ratio_less_ma50', 'for', '>', 0, 'index points', false, 1),
        ('size_condition', 'ratio_less_ma50', 'against', '<', 0, 'index points', false, 2),
        ('size_condition', 'ratio_less_ma200', 'for', '>', 0, 'index points', false, 1),
        ('size_condition', 'ratio_less_ma200', 'against', '<', 0, 'index points', false, 2),
        ('breadth', 'sectors_beating_spy_3m', 'for', '>=', 6, 'sectors', true, 1),
        ('breadth', 'sectors_beating_spy_3m', 'against', '<=', 3, 'sectors', true, 2),
        ('breadth', 'equal_minus_cap_3m', 'for', '>', 0, 'fraction', false, 1),
        ('breadth', 'equal_minus_cap_3m', 'against', '<', 0, 'fraction', false, 2),
        ('sector_leadership', 'technology_rank_3m', 'for', '>=', 7, 'rank', true, 1),
        ('sector_leadership', 'technology_rank_3m', 'against', '<=', 2, 'rank', true, 2),
        ('mega_cap', 'mag7_minus_rest_3m', 'for', '<', -0.01, 'fraction', true, 1),
        ('mega_cap', 'mag7_minus_rest_3m', 'against', '>', 0.01, 'fraction', true, 2),
        -- Of the last three completed months together, and how many of them saw net inflows or outflows.
        ('fund_flows', 'flow_pct_of_assets', 'for', '>', 0.5, 'percent', true, 1),
        ('fund_flows', 'flow_pct_of_assets', 'against', '<', -0.5, 'percent', true, 2),
        ('fund_flows', 'months_in', 'for', '>=', 2, 'months', false, 1),
        ('fund_flows', 'months_out', 'against', '>=', 2, 'months', false, 2),
        ('fund_flows', 'covered_assets_pct', 'known', '>=', 50, 'percent of the group''s assets', false, 3),
        ('earnings', 'gap', 'for', '>', 0.01, 'fraction', true, 1),
        ('earnings', 'gap', 'against', '<', -0.01, 'fraction', true, 2),
        ('earnings', 'coverage_pct', 'known', '>=', 50, 'percent of each fund''s weight', false, 3),
        ('regime', 'leadership_verdicts', 'known', '>=', 2, 'verdicts', false, 1),
        ('regime', 'sessions_in_a_row', 'held', '>=', 5, 'sessions', false, 1)
) as rules (subject, measure, outcome, comparison, level, unit, is_shown, place)
order by subject, measure, place
