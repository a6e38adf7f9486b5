<?php
/**
 * Plugin Name: wpward login
 * Description: Tells the system log from which addresses logins fail and editors come, and nothing else.
 * License: GPL-3.0-or-later
 * Requires PHP: 7.4
 *
 * Written by the Ansible role wpward.wordpress.bans, which owns this file. The role's rollback removes it.
 *
 * A report is a word and the address that the web server passes on. It never holds a name or anything else that a
 * client typed, so nobody can forge one.
 */

namespace Wpward\Login;

if ( ! defined( 'ABSPATH' ) ) {
	exit;
}

// A command line has no visitor.
if ( 'cli' === PHP_SAPI || ( defined( 'WP_CLI' ) && \WP_CLI ) ) {
	return;
}

// An error of any other kind comes after a correct password: a second factor, a limit of attempts.
const WRONG = array( 'incorrect_password', 'invalid_username', 'invalid_email', 'authentication_failed' );

// Who may edit posts is no attacker; where registration is open, everybody can log in.
const CAPABILITY = 'edit_posts';

const REPORT_AGAIN = 12 * 3600;

add_action( 'wp_login_failed', __NAMESPACE__ . '\login_failed', 10, 2 );
// Last, because a second factor asked for here ends the request before it is anybody's login.
add_action( 'wp_login', __NAMESPACE__ . '\logged_in', PHP_INT_MAX, 2 );
// Whoever is logged in already, and whoever came in by a second factor.
add_action( 'admin_init', __NAMESPACE__ . '\at_work' );
add_action( 'application_password_did_authenticate', __NAMESPACE__ . '\editor' );

function login_failed( $username, $error = null ) {
	// WordPress says why since 5.4.
	if ( ! is_wp_error( $error ) || array_intersect( $error->get_error_codes(), WRONG ) ) {
		report( 'failed' );
	}
}

function logged_in( $login, $user = null ) {
	editor( $user );
}

function at_work() {
	editor( wp_get_current_user() );
}

/**
 * Reports an address at most every twelve hours.
 */
function editor( $user ) {
	if ( ! $user instanceof \WP_User || ! user_can( $user, CAPABILITY ) ) {
		return;
	}
	$key = 'wpward_editor_' . md5( address() );
	if ( false === get_transient( $key ) ) {
		set_transient( $key, 1, REPORT_AGAIN );
		report( 'editor' );
	}
}

function address() {
	$address = isset( $_SERVER['REMOTE_ADDR'] ) ? (string) $_SERVER['REMOTE_ADDR'] : '';
	return false === filter_var( $address, FILTER_VALIDATE_IP ) ? '' : $address;
}

function report( $event ) {
	if ( '' !== address() ) {
		openlog( 'wpward-login', LOG_PID, LOG_AUTH );
		syslog( LOG_NOTICE, $event . ' ' . address() );
		closelog();
	}
}
