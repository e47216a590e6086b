-- Sums of rollups by hours and days, and one's own rollups by time. The cron fills the sums from the
-- rollups that are there (store/usage-sums.ts), an hour from now at the earliest: until then a Worker
-- of before, which would add nothing to them, may still bring late rows.

CREATE TABLE `usage_days` (
	`day` integer NOT NULL,
	`user_id` text NOT NULL,
	`key_id` text NOT NULL,
	`requests` integer NOT NULL,
	`errors` integer NOT NULL,
	`input_tokens` integer NOT NULL,
	`cache_write_5m_tokens` integer NOT NULL,
	`cache_write_1h_tokens` integer NOT NULL,
	`cache_read_tokens` integer NOT NULL,
	`output_tokens` integer NOT NULL,
	`web_searches` integer NOT NULL,
	`cost_nanos` integer NOT NULL,
	`total_histogram` text NOT NULL,
	`first_byte_histogram` text NOT NULL,
	PRIMARY KEY(`day`, `user_id`, `key_id`)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `usage_totals` (
	`hours` integer NOT NULL,
	`starts_at` integer NOT NULL,
	`model` text NOT NULL,
	`account_id` text NOT NULL,
	`closing` text NOT NULL,
	`requests` integer NOT NULL,
	`input_tokens` integer NOT NULL,
	`cache_write_5m_tokens` integer NOT NULL,
	`cache_write_1h_tokens` integer NOT NULL,
	`cache_read_tokens` integer NOT NULL,
	`output_tokens` integer NOT NULL,
	`web_searches` integer NOT NULL,
	`cost_nanos` integer NOT NULL,
	`total_histogram` text NOT NULL,
	`first_byte_histogram` text NOT NULL,
	PRIMARY KEY(`hours`, `starts_at`, `model`, `account_id`, `closing`)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `rollups_user` ON `rollups` (`user_id`,`slot`);--> statement-breakpoint
INSERT INTO `settings` (`name`, `value`, `version`)
VALUES ('usage_summed_until', CAST((unixepoch() + 3600) * 1000 AS text), 0);
