<?php
// Who is asked, and whether the answer may name anybody.

/**
 * Whether the policy closes an endpoint to the client's address. Needs no user, so it can be asked
 * before WordPress knows one.
 */
function closed_to_address( $endpoint ) {
	$policy = isset( POLICY[ $endpoint ] ) ? POLICY[ $endpoint ] : 'closed';
	if ( 'trusted' === $policy ) {
		return ! is_trusted_address();
	}
	return 'open' !== $policy;
}

/** Whether an endpoint is closed to this visitor. */
function closed( $endpoint ) {
	return closed_to_address( $endpoint ) && ! may_see_users();
}

/**
 * A capability and not is_user_logged_in(): where registration is open, everybody can log in.
 */
function may_see_users() {
	static $answers = array();
	// Mails and digests that cron builds go to people who know the authors; wp-cron.php itself
	// prints nothing to the client that started it.
	if ( defined( 'DOING_CRON' ) && DOING_CRON ) {
		return true;
	}
	if ( ! function_exists( 'wp_get_current_user' ) ) {
		return false;
	}
	$key = get_current_blog_id() . ':' . get_current_user_id();
	if ( ! isset( $answers[ $key ] ) ) {
		// A plugin that looks up an author's name while it decides on capabilities would come
		// back here for ever.
		$answers[ $key ] = false;
		$answers[ $key ] = current_user_can( required_capability() );
	}
	return $answers[ $key ];
}

/** Nobody has to be protected from their own name. */
function is_oneself( $user_id ) {
	return (int) $user_id > 0 && (int) $user_id === get_current_user_id();
}

function required_capability() {
	$capability = defined( 'WPWARD_GUARD_CAPABILITY' ) ? WPWARD_GUARD_CAPABILITY : CAPABILITY;
	$capability = apply_filters( 'wpward_guard_capability', $capability );
	return is_string( $capability ) && '' !== $capability ? $capability : CAPABILITY;
}

function is_trusted_address() {
	static $answer = null;
	if ( null === $answer ) {
		$answer = client_is_in( TRUSTED );
	}
	return $answer;
}

/** Whether the request comes from a web server in front of this one, on the same host. */
function comes_from_front() {
	return client_is_in( FRONTS );
}

function client_is_in( $networks ) {
	// The web server has put the real client here already; a header would be the client's word.
	$address = packed_address( isset( $_SERVER['REMOTE_ADDR'] ) ? $_SERVER['REMOTE_ADDR'] : '' );
	foreach ( $networks as $network ) {
		if ( in_network( $address, $network ) ) {
			return true;
		}
	}
	return false;
}

/** The address as bytes, an IPv4-mapped one as IPv4; an empty string for what is no address. */
function packed_address( $address ) {
	$packed = filter_var( $address, FILTER_VALIDATE_IP ) ? inet_pton( $address ) : '';
	if ( 16 === strlen( $packed ) && 0 === strpos( $packed, "\0\0\0\0\0\0\0\0\0\0\xff\xff" ) ) {
		return substr( $packed, 12 );
	}
	return $packed;
}

function in_network( $address, $network ) {
	$parts   = explode( '/', $network );
	$network = packed_address( $parts[0] );
	if ( '' === $network || strlen( $network ) !== strlen( $address ) ) {
		return false;
	}
	$bits = isset( $parts[1] ) ? (int) $parts[1] : 8 * strlen( $network );
	for ( $byte = 0; $bits > 0; $byte++, $bits -= 8 ) {
		$mask = $bits < 8 ? 0xff << ( 8 - $bits ) & 0xff : 0xff;
		if ( ( ord( $address[ $byte ] ) & $mask ) !== ( ord( $network[ $byte ] ) & $mask ) ) {
			return false;
		}
	}
	return true;
}
