-- Made by drizzle-kit from workers/store/schema.ts; STRICT and WITHOUT ROWID by hand: with a TEXT
-- primary key a table with rowids bills two rows an insert, without them one.

CREATE TABLE `accounts` (
	`id` text PRIMARY KEY NOT NULL,
	`name` text NOT NULL,
	`kind` text NOT NULL,
	`base_url` text NOT NULL,
	`credential_key_version` text NOT NULL,
	`credential_iv` text NOT NULL,
	`credential_ciphertext` text NOT NULL,
	`status` text NOT NULL,
	`cache_group` text,
	`weight` integer NOT NULL,
	`priority` integer NOT NULL,
	`models` text,
	`origin` text NOT NULL,
	`version` integer NOT NULL,
	`created_at` integer NOT NULL
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `aliases` (
	`alias` text PRIMARY KEY NOT NULL,
	`model` text NOT NULL,
	`source` text NOT NULL
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `balances` (
	`wallet_id` text PRIMARY KEY NOT NULL,
	`balance_nanos` integer NOT NULL,
	`as_of` integer NOT NULL
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `keys` (
	`id` text PRIMARY KEY NOT NULL,
	`wallet_id` text NOT NULL,
	`user_id` text NOT NULL,
	`name` text NOT NULL,
	`hash` text NOT NULL,
	`previous_hash` text,
	`previous_until` integer,
	`tag_version` text NOT NULL,
	`status` text NOT NULL,
	`expires_at` integer,
	`version` integer NOT NULL,
	`created_at` integer NOT NULL
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `late_settles` (
	`request_id` text PRIMARY KEY NOT NULL,
	`wallet_id` text NOT NULL,
	`region` text NOT NULL,
	`payload` text NOT NULL,
	`created_at` integer NOT NULL
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `ledger_cursor` (
	`wallet_id` text PRIMARY KEY NOT NULL,
	`n` integer NOT NULL
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `outbox` (
	`id` text PRIMARY KEY NOT NULL,
	`kind` text NOT NULL,
	`subject_id` text NOT NULL,
	`wallet_id` text,
	`region` text,
	`version` integer NOT NULL,
	`payload` text NOT NULL,
	`created_at` integer NOT NULL
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `prices` (
	`id` text PRIMARY KEY NOT NULL,
	`model` text NOT NULL,
	`effective_from` integer NOT NULL,
	`document` text NOT NULL,
	`source` text NOT NULL,
	`version` integer NOT NULL
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `requests` (
	`id` text PRIMARY KEY NOT NULL,
	`admitted_at` integer NOT NULL,
	`wallet_id` text NOT NULL,
	`user_id` text NOT NULL,
	`key_id` text NOT NULL,
	`model` text NOT NULL,
	`price_id` text,
	`account_id` text,
	`closing` text NOT NULL,
	`certainty` text NOT NULL,
	`status` integer,
	`input_tokens` integer NOT NULL,
	`cache_write_5m_tokens` integer NOT NULL,
	`cache_write_1h_tokens` integer NOT NULL,
	`cache_read_tokens` integer NOT NULL,
	`output_tokens` integer NOT NULL,
	`web_searches` integer NOT NULL,
	`cost_nanos` integer NOT NULL,
	`admit_ms` integer,
	`first_byte_ms` integer,
	`total_ms` integer,
	`flags` text NOT NULL,
	`attempts` text NOT NULL,
	`session` text,
	`agent` text,
	`request_class` text,
	`prompt` text
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `rollups` (
	`slot` integer NOT NULL,
	`user_id` text NOT NULL,
	`key_id` text NOT NULL,
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
	PRIMARY KEY(`slot`, `user_id`, `key_id`, `model`, `account_id`, `closing`)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `settings` (
	`name` text PRIMARY KEY NOT NULL,
	`value` text NOT NULL,
	`version` integer NOT NULL
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `users` (
	`id` text PRIMARY KEY NOT NULL,
	`email` text NOT NULL,
	`name` text NOT NULL,
	`role` text NOT NULL,
	`password` text NOT NULL,
	`status` text NOT NULL,
	`time_zone` text NOT NULL,
	`version` integer NOT NULL,
	`created_at` integer NOT NULL
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE UNIQUE INDEX `users_email` ON `users` (`email`);
--> statement-breakpoint
CREATE TABLE `wallets` (
	`id` text PRIMARY KEY NOT NULL,
	`user_id` text NOT NULL,
	`region` text NOT NULL,
	`status` text NOT NULL,
	`version` integer NOT NULL,
	`created_at` integer NOT NULL
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `wallets_user` ON `wallets` (`user_id`);