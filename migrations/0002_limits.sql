-- Limits of keys, users and wallets as JSON; what was there before is not limited.

ALTER TABLE `keys` ADD `limits` text DEFAULT '{}' NOT NULL;--> statement-breakpoint
ALTER TABLE `users` ADD `limits` text DEFAULT '{}' NOT NULL;--> statement-breakpoint
ALTER TABLE `wallets` ADD `limits` text DEFAULT '{}' NOT NULL;
