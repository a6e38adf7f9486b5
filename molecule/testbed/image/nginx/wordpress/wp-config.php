<?php
define( 'DB_NAME', 'wordpress' );
define( 'DB_USER', 'wordpress' );
define( 'DB_PASSWORD', 'wordpress' );
define( 'DB_HOST', 'localhost' );
define( 'DB_CHARSET', 'utf8mb4' );
define( 'DB_COLLATE', '' );

foreach ( array( 'AUTH', 'SECURE_AUTH', 'LOGGED_IN', 'NONCE' ) as $name ) {
	define( $name . '_KEY', 'test bed, not a secret: key ' . $name );
	define( $name . '_SALT', 'test bed, not a secret: salt ' . $name );
}

// One site behind a plain and a TLS port: without this the TLS port only redirects to the plain one.
if ( ! empty( $_SERVER['HTTPS'] ) && 'blog.example' === parse_url( '@HOME@', PHP_URL_HOST ) ) {
	define( 'WP_HOME', 'https://blog.example:8443' );
	define( 'WP_SITEURL', WP_HOME );
}

// A test host has nobody to call, and a cron run in the middle of a measurement is noise.
define( 'WP_HTTP_BLOCK_EXTERNAL', true );
define( 'AUTOMATIC_UPDATER_DISABLED', true );
define( 'DISABLE_WP_CRON', true );

$table_prefix = '@PREFIX@';

if ( ! defined( 'ABSPATH' ) ) {
	define( 'ABSPATH', __DIR__ . '/' );
}
require_once ABSPATH . 'wp-settings.php';
