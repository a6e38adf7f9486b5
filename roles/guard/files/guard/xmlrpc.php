<?php
// The second line behind the web server's own rule for xmlrpc.php: it holds where a request reaches
// PHP all the same. Here, before plugins load, a refusal costs a tenth of a served call.

if ( defined( 'XMLRPC_REQUEST' ) && XMLRPC_REQUEST && closed_to_client( 'xmlrpc' ) ) {
	http_response_code( 403 );
	nocache_headers();
	header( 'Content-Type: text/plain; charset=UTF-8' );
	exit( "XML-RPC is closed on this site.\n" );
}

// A closed endpoint is not advertised either: discovery only invites requests.
if ( closed_to_client( 'xmlrpc' ) ) {
	remove_action( 'wp_head', 'rsd_link' );
	add_action( 'wp', __NAMESPACE__ . '\remove_pingback_header' );
	add_filter( 'pings_open', __NAMESPACE__ . '\hide_pingback_link' );
}
if ( closed_to_client( 'wlwmanifest' ) ) {
	remove_action( 'wp_head', 'wlwmanifest_link' );
}

/**
 * As closed_to_address(), but a server in front of this one knows the client that is not known here,
 * and refuses whoever is not trusted. It does not do so for user names.
 */
function closed_to_client( $endpoint ) {
	$policy = isset( POLICY[ $endpoint ] ) ? POLICY[ $endpoint ] : 'closed';
	return closed_to_address( $endpoint ) && ! ( 'trusted' === $policy && comes_from_front() );
}

function remove_pingback_header() {
	if ( ! headers_sent() ) {
		header_remove( 'X-Pingback' );
	}
}

/** Themes print the pingback link in the head where pings are open; trackbacks stay as they are. */
function hide_pingback_link( $open ) {
	return doing_action( 'wp_head' ) ? false : $open;
}
