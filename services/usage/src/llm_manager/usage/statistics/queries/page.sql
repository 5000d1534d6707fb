-- Which events make one page, newest first: few and narrow columns, because all events of the filter are looked at.
SELECT
    app_id,
    attempted_at,
    event_id
FROM usage.events FINAL
WHERE (empty({app_ids:Array(String)}) OR app_id IN {app_ids:Array(String)})
    AND ({request_id:String} = '' OR request_id = {request_id:String})
    AND (NOT {is_failed_only:Bool} OR state NOT IN ('ok', 'cache_hit'))
    AND started_at >= {from:DateTime64(3, 'UTC')}
    AND started_at < {to:DateTime64(3, 'UTC')}
    AND attempted_at >= {from:DateTime64(3, 'UTC')} - INTERVAL 1 DAY
    AND attempted_at < {to:DateTime64(3, 'UTC')} + INTERVAL 1 DAY
    AND ({is_first_page:Bool} OR (started_at, event_id) < ({after_started_at:DateTime64(3, 'UTC')}, {after_event_id:UUID}))
ORDER BY started_at DESC, event_id DESC
LIMIT {limit:UInt32}
