-- What accounts answered and cost by day, and what moves and answers that nobody got came to.

CREATE TABLE `account_days` (
	`day` integer NOT NULL,
	`account_id` text NOT NULL,
	`requests` integer NOT NULL,
	`moves` integer NOT NULL,
	`moved_nanos` integer NOT NULL,
	`absorbed_attempts` integer NOT NULL,
	`absorbed_nanos` integer NOT NULL,
	`account_nanos` integer NOT NULL,
	PRIMARY KEY(`day`, `account_id`)
) STRICT, WITHOUT ROWID;
