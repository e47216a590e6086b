-- What an admin sets of an account beside what it must have, with what each was before it was set.

ALTER TABLE `accounts` ADD `model_names` text DEFAULT '{}' NOT NULL;--> statement-breakpoint
ALTER TABLE `accounts` ADD `region` text;--> statement-breakpoint
ALTER TABLE `accounts` ADD `project` text;--> statement-breakpoint
ALTER TABLE `accounts` ADD `workspace` text;--> statement-breakpoint
ALTER TABLE `accounts` ADD `groups` text DEFAULT '[]' NOT NULL;--> statement-breakpoint
ALTER TABLE `accounts` ADD `max_concurrency` integer;--> statement-breakpoint
ALTER TABLE `accounts` ADD `daily_cap_nanos` integer;--> statement-breakpoint
ALTER TABLE `accounts` ADD `monthly_cap_nanos` integer;--> statement-breakpoint
ALTER TABLE `accounts` ADD `is_hard` integer DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE `accounts` ADD `active_hours` text;--> statement-breakpoint
ALTER TABLE `accounts` ADD `egress` text;--> statement-breakpoint
ALTER TABLE `accounts` ADD `cost_factor` text DEFAULT '[1,1]' NOT NULL;--> statement-breakpoint
ALTER TABLE `accounts` ADD `own_prices` text DEFAULT '[]' NOT NULL;--> statement-breakpoint
ALTER TABLE `accounts` ADD `allows_other_host` integer DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE `accounts` ADD `notes` text DEFAULT '' NOT NULL;
