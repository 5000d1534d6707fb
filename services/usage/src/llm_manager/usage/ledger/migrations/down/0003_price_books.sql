-- Takes 0003_price_books.sql back. Never run by the product; for a person who means it.
DROP TABLE IF EXISTS usage.price_books;

ALTER TABLE default.llm_manager_migrations DELETE WHERE name = '0003_price_books.sql' SETTINGS mutations_sync = 2;
