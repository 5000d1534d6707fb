-- Takes 0004_reconciler.sql back. Never run by the product; for a person who means it.
DROP TABLE IF EXISTS usage.checkpoints;

ALTER TABLE usage.events
    DROP COLUMN IF EXISTS recorder;

ALTER TABLE default.llm_manager_migrations DELETE WHERE name = '0004_reconciler.sql' SETTINGS mutations_sync = 2;
