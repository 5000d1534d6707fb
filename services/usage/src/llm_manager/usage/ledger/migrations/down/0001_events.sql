-- Takes 0001_events.sql back, and with it the whole ledger. Never run by the product; for a person who means it.
DROP TABLE IF EXISTS usage.rejected;

DROP TABLE IF EXISTS usage.events;

ALTER TABLE default.llm_manager_migrations DELETE WHERE name = '0001_events.sql' SETTINGS mutations_sync = 2;
