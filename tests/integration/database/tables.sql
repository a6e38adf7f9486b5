-- Two months of a log that was attacked: 20,000 old rows, among them some young ones and some without
-- a date, and 2,000 young ones.
INSERT INTO wp_aiowps_audit_log (username, ip, level, event_type, details, stacktrace, created)
SELECT 'alice', '198.51.100.7', 'warning', 'failed_login', '{"failed_login":{"known":true}}',
       REPEAT('/var/www/blog/xmlrpc.php ', 20),
       CASE WHEN seq MOD 1000 = 0 THEN UNIX_TIMESTAMP() - 86400
            WHEN seq MOD 1000 = 1 THEN 0
            WHEN seq > 20000 THEN UNIX_TIMESTAMP() - 20 * 86400 + seq
            ELSE UNIX_TIMESTAMP() - 60 * 86400 + seq * 90 END
FROM seq_1_to_22000;
-- As it, but nobody's that is known; and a copy of it without a WordPress of its prefix.
CREATE TABLE wp_my_audit_log LIKE wp_aiowps_audit_log;
INSERT INTO wp_my_audit_log SELECT * FROM wp_aiowps_audit_log WHERE id < 2000;
CREATE TABLE bak_aiowps_audit_log LIKE wp_aiowps_audit_log;
INSERT INTO bak_aiowps_audit_log SELECT * FROM wp_my_audit_log;
CREATE VIEW wp_2_aiowps_audit_log AS SELECT * FROM wp_aiowps_audit_log;
CREATE TABLE wp_redirection_404 (
  id int(11) unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
  created datetime NOT NULL,
  url mediumtext NOT NULL,
  agent varchar(255) DEFAULT NULL,
  ip varchar(45) DEFAULT NULL
) ENGINE=MyISAM;
INSERT INTO wp_redirection_404 (created, url, agent, ip)
SELECT NOW() - INTERVAL seq MINUTE, '/xmlrpc.php', 'x', '198.51.100.7' FROM seq_1_to_3000;
-- Another schema, and a prefix with neither an end nor only usual characters.
CREATE DATABASE `other``s`;
CREATE TABLE `other``s`.`x y7options` LIKE wp_options;
CREATE TABLE `other``s`.`x y7posts` LIKE wp_posts;
CREATE TABLE `other``s`.`x y7aiowps_failed_logins` (
  id bigint(20) NOT NULL AUTO_INCREMENT PRIMARY KEY,
  user_id bigint(20) NOT NULL,
  user_login varchar(150) NOT NULL,
  failed_login_date datetime NOT NULL DEFAULT '1000-10-10 10:00:00',
  login_attempt_ip varchar(100) NOT NULL DEFAULT ''
) ENGINE=InnoDB;
INSERT INTO `other``s`.`x y7aiowps_failed_logins` (user_id, user_login, failed_login_date)
SELECT 0, 'alice', IF(seq = 7, '1000-10-10 10:00:00', UTC_TIMESTAMP() - INTERVAL 3001 - seq HOUR)
FROM seq_1_to_3000;
ANALYZE TABLE wp_aiowps_audit_log, wp_my_audit_log, bak_aiowps_audit_log,
  `other``s`.`x y7aiowps_failed_logins`;
