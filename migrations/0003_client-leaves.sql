-- What becomes of an answer whose client has gone; of keys from before: the upstream is let go.

ALTER TABLE `keys` ADD `when_client_leaves` text DEFAULT 'cancel' NOT NULL;
