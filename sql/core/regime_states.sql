-- core.regime_states: the states of each axis of the regime and the labels, by name and number.
-- grain: axis, state
-- sources: none
-- lookback: none
-- null: value of a label
-- columns:
--   axis: size, leadership or support; label for the labels
--   state: name of the state, or label
--   value: 1 for the rotation, 0 neither, -1 against it
--   place: order within the axis, from the most to the least in favour of the rotation
select axis, state, value::integer as value, place
from (
    values
        ('size', 'leading', 1, 1),
        ('size', 'even', 0, 2),
        ('size', 'trailing', -1, 3),
        ('leadership', 'broadening', 1, 1),
        ('leadership', 'mixed', 0, 2),
        ('leadership', 'narrowing', -1, 3),
        ('support', 'supported', 1, 1),
        ('support', 'mixed', 0, 2),
        ('support', 'contradicted', -1, 3),
        ('label', 'confirmed', null, 1),
        ('label', 'building', null, 2),
        ('label', 'neutral', null, 3),
        ('label', 'fading', null, 4),
        ('label', 'reversed', null, 5)
) as states (axis, state, value, place)
order by axis, place
