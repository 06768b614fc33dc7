-- core.evidence_names: the six pieces of evidence in words, in the order in which reports list them.
-- grain: evidence
-- sources: none
-- lookback: none
-- null: never
-- columns:
--   evidence: as in signals.rotation_evidence
--   axis: size, leadership or support
--   place: order in reports
--   name: what is compared
--   measure: the value that signals.rotation_evidence shows
select evidence, axis, place, name, measure
from (
    values
        ('relative_strength', 'size', 1, 'Small caps against large caps', 'conditions for less conditions against, divided by their number'),
        ('breadth', 'leadership', 2, 'Breadth of the market', 'sectors ahead of the market over three months'),
        ('sector_leadership', 'leadership', 3, 'Technology among the sectors', 'rank of technology over three months'),
        ('mega_cap', 'leadership', 4, 'Magnificent Seven against the rest', 'lead of the Magnificent Seven over three months'),
        ('fund_flows', 'support', 5, 'Money into small-cap funds', 'net flow of three completed months, percent of assets'),
        ('earnings', 'support', 6, 'Earnings of small companies', 'expected growth of small less large companies')
) as words (evidence, axis, place, name, measure)
order by place
