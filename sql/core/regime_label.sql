-- core.regime_label: the label of the regime that follows from the states in force.
-- grain: one value
-- sources: none
-- lookback: none
-- null: where the size state is; a leadership state not known counts as mixed, a support state not known as not contradicted
-- formula: confirmed = leading, broadening and not contradicted; building = any other leading; neutral = even; fading = trailing, not narrowing;
--   reversed = trailing and narrowing
create or replace macro core.regime_label(size_state, leadership_state, support_state) as
    case size_state
        when 'leading' then
            case
                when leadership_state = 'broadening' and support_state is distinct from 'contradicted' then 'confirmed'
                else 'building'
            end
        when 'even' then 'neutral'
        when 'trailing' then case when leadership_state = 'narrowing' then 'reversed' else 'fading' end
    end
