<?php
// The login and lost-password forms say the same whether an account exists or not.

const TELLING = array( 'invalid_username', 'invalid_email', 'incorrect_password' );

if ( NEUTRAL_LOGIN ) {
	add_filter( 'authenticate', __NAMESPACE__ . '\login_outcome', PHP_INT_MAX, 3 );
	// After the check of application passwords, which answers in the same telling words.
	add_filter( 'rest_authentication_errors', __NAMESPACE__ . '\without_hint', PHP_INT_MAX );
	add_action( 'login_form_lostpassword', __NAMESPACE__ . '\watch_lost_password' );
	add_action( 'login_form_retrievepassword', __NAMESPACE__ . '\watch_lost_password' );
}

function login_outcome( $user, $username, $password ) {
	if ( is_wp_error( $user ) && array_intersect( $user->get_error_codes(), array( 'invalid_username', 'invalid_email' ) ) ) {
		take_as_long_as_a_hash( (string) $password );
	}
	return without_hint( $user );
}

/**
 * A wrong password for an account that exists costs one hash: 2 ms up to 6.7, a quarter of a second
 * with the bcrypt of 6.8 on PHP 8.4. What comes back sooner tells that there is no such account.
 *
 * One at a time: a flood of made-up names must not cost a core for each of PHP's workers.
 */
function take_as_long_as_a_hash( $password ) {
	$lock = fopen( __FILE__, 'r' );
	if ( ! $lock || flock( $lock, LOCK_EX | LOCK_NB, $busy ) || ! $busy ) {
		wp_hash_password( $password );
	}
	if ( $lock ) {
		fclose( $lock );
	}
}

/**
 * One code as well as one message: the login form keeps the typed name for incorrect_password only.
 * The codes of other plugins (a second factor, a limit of attempts) stay as they are.
 */
function without_hint( $errors ) {
	if ( ! is_wp_error( $errors ) || ! array_intersect( $errors->get_error_codes(), TELLING ) ) {
		return $errors;
	}
	$neutral = new \WP_Error();
	foreach ( $errors->get_error_codes() as $code ) {
		if ( in_array( $code, TELLING, true ) ) {
			if ( ! $neutral->get_error_message( 'incorrect_password' ) ) {
				$neutral->add(
					'incorrect_password',
					__( '<strong>Error:</strong> Invalid username, email address or incorrect password.' ),
					$errors->get_error_data( $code )
				);
			}
			continue;
		}
		foreach ( $errors->get_error_messages( $code ) as $message ) {
			$neutral->add( $code, $message, $errors->get_error_data( $code ) );
		}
	}
	return $neutral;
}

function watch_lost_password() {
	if ( isset( $_SERVER['REQUEST_METHOD'] ) && 'POST' === $_SERVER['REQUEST_METHOD'] ) {
		add_filter( 'lostpassword_errors', __NAMESPACE__ . '\answer_lost_password', PHP_INT_MAX, 2 );
		// Reached after an answer only where the mail was not sent; the answer stands.
		add_action( 'lost_password', __NAMESPACE__ . '\leave_it_at_the_answer', -PHP_INT_MAX );
	}
}

/**
 * Gives everybody WordPress's answer for "the mail is on its way", and only then sends the mail: the
 * time that takes would tell as much as the words.
 */
function answer_lost_password( $errors, $user ) {
	if ( ! is_wp_error( $errors ) ) {
		return $errors;
	}
	$errors->remove( 'invalid_email' );
	$errors->remove( 'invalidcombo' );
	// An empty field or a wrong captcha is the same for everybody.
	if ( $errors->has_errors() ) {
		return $errors;
	}
	wp_safe_redirect( ! empty( $_REQUEST['redirect_to'] ) ? $_REQUEST['redirect_to'] : 'wp-login.php?checkemail=confirm' );
	if ( ! $user ) {
		exit;
	}
	lost_password_answered( true );
	if ( function_exists( 'fastcgi_finish_request' ) ) {
		ignore_user_abort( true );
		fastcgi_finish_request();
		// WordPress redirects once more when the mail is sent, into a closed connection.
		add_filter( 'wp_redirect', '__return_false', PHP_INT_MAX );
	}
	return $errors;
}

function lost_password_answered( $now = false ) {
	static $answered = false;
	$answered = $answered || $now;
	return $answered;
}

function leave_it_at_the_answer() {
	if ( lost_password_answered() ) {
		exit;
	}
}
