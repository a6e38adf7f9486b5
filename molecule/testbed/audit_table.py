# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The audit log of All-In-One Security as the plugin makes it: nothing is indexed but its key."""

from __future__ import annotations

NAME = "wp_aiowps_audit_log"
LAYOUT = f"""
CREATE TABLE {NAME} (
  id bigint(20) NOT NULL AUTO_INCREMENT PRIMARY KEY,
  network_id bigint(20) NOT NULL DEFAULT 0,
  site_id bigint(20) NOT NULL DEFAULT 0,
  username varchar(60) NOT NULL DEFAULT '',
  ip varchar(45) NOT NULL DEFAULT '',
  level varchar(25) NOT NULL DEFAULT '',
  event_type varchar(25) NOT NULL DEFAULT '',
  details text NOT NULL,
  stacktrace text NOT NULL,
  created int(11) NOT NULL DEFAULT 0,
  country_code varchar(50) DEFAULT ''
) ENGINE=InnoDB;
"""
