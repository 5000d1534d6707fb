-- Who wrote a row, and how far the reconciler has looked through the stream EVENTS.
ALTER TABLE usage.events
    ADD COLUMN IF NOT EXISTS recorder LowCardinality(String) DEFAULT 'worker' AFTER system_fingerprint;

CREATE TABLE IF NOT EXISTS usage.checkpoints
(
    name String,
    sequence UInt64,
    reached_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(reached_at)
ORDER BY name;
