-- Sums of attempts. FINAL folds copies of an event that are not merged yet, so a redelivered batch counts once.
SELECT
    count() AS attempts,
    countIf(state NOT IN ('ok', 'cache_hit')) AS failed_attempts,
    countIf(cost_state = 'unpriced') AS unpriced_attempts,
    countIf(usage_source IN ('estimated', 'unknown')) AS estimated_attempts,
    ifNull(sum(cost_usd), 0) AS cost_usd,
    sum(input_uncached) AS input_uncached,
    sum(cache_read) AS cache_read,
    sum(cache_write_5m) AS cache_write_5m,
    sum(cache_write_1h) AS cache_write_1h,
    sum(input_audio) AS input_audio,
    sum(input_image) AS input_image,
    sum(output_text) AS output_text,
    sum(output_reasoning) AS output_reasoning,
    sum(output_audio) AS output_audio,
    sum(output_image) AS output_image,
    sum(search_units) AS search_units,
    sum(requests) AS requests
FROM usage.events FINAL
WHERE (empty({app_ids:Array(String)}) OR app_id IN {app_ids:Array(String)})
    AND ({request_id:String} = '' OR request_id = {request_id:String})
    AND (NOT {is_failed_only:Bool} OR state NOT IN ('ok', 'cache_hit'))
    AND started_at >= {from:DateTime64(3, 'UTC')}
    AND started_at < {to:DateTime64(3, 'UTC')}
    -- the same, wider by the skew that ledger/rules.py allows, on the column that the primary key knows
    AND attempted_at >= {from:DateTime64(3, 'UTC')} - INTERVAL 1 DAY
    AND attempted_at < {to:DateTime64(3, 'UTC')} + INTERVAL 1 DAY
